// Philox4x32-10, random numbers as a function of a counter and a seed, on every device: Salmon,
// Moraes, Dror & Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.3.
#pragma once

#include <cstdint>

#include "shared/common/host_device.h"

namespace lelkern {

constexpr int kPhiloxRounds = 10;
// Of the first and the third word, and of both words of the key; CUDA takes no arrays of constants.
constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53, kPhiloxMultiplier2 = 0xCD9E8D57;
constexpr uint32_t kPhiloxKeyStep0 = 0x9E3779B9, kPhiloxKeyStep1 = 0xBB67AE85;

struct PhiloxWords {
    uint32_t at[4];
};

// Four words of 32 random bits for a counter of four words.
LELKERN_HOST_DEVICE inline PhiloxWords philox(PhiloxWords counter, uint64_t seed) {
    uint32_t a = counter.at[0], b = counter.at[1], c = counter.at[2], d = counter.at[3];
    uint32_t first = static_cast<uint32_t>(seed), second = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < kPhiloxRounds; ++round) {
        const uint64_t of_a = uint64_t{kPhiloxMultiplier0} * a;
        const uint64_t of_c = uint64_t{kPhiloxMultiplier2} * c;
        a = static_cast<uint32_t>(of_c >> 32) ^ b ^ first;
        b = static_cast<uint32_t>(of_c);
        c = static_cast<uint32_t>(of_a >> 32) ^ d ^ second;
        d = static_cast<uint32_t>(of_a);
        first += kPhiloxKeyStep0;
        second += kPhiloxKeyStep1;
    }
    return {{a, b, c, d}};
}

}  // namespace lelkern
