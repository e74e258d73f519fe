// Sums in whole numbers of 64 bits, which are the same in whatever order threads add to them.
#pragma once

#include <cmath>
#include <cstdint>

#include "shared/cuda/device.cuh"

namespace lelkern::contrastive::cuda {

// A sum is so many times 1 / scale.
struct FixedPoint {
    unsigned long long* sums;  // two's complement
    float scale;               // a power of 2

    __device__ void add(int64_t at, float x) const {
        atomicAdd(sums + at, static_cast<unsigned long long>(llrintf(x * scale)));
    }

    __device__ double read(int64_t at) const {
        return static_cast<double>(static_cast<long long>(sums[at])) / scale;
    }
};

// The gradient of a row is a sum of `candidates` weights of at most 2.02 times 2^12 (see
// find_scale) times numbers of at most 1: below 2^61 so, and exact to 2^-43 of the largest
// upstream gradient for 2^16 candidates.
inline float fixed_point_scale(int64_t candidates) {
    return std::exp2(47 - std::ceil(std::log2(static_cast<float>(candidates))));
}

}  // namespace lelkern::contrastive::cuda
