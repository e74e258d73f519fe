// In which order the threads of a block, and the blocks of a launch, run.
#pragma once

#include <cstdint>

namespace lelkern::emulation {

// preempt is random, and also changes threads in the middle of things, at memory accesses.
enum class Order : int { forward, reverse, random, preempt };

// Xorshift, after a mix of the seed that makes neighbours unlike.
struct Random {
    uint64_t state = 1;

    void seed(uint64_t a, uint64_t b) {
        state = (a + 1) * 0x9e3779b97f4a7c15 ^ (b + 1) * 0xd1342543de82ef95;
        state ^= state >> 31;
        state = state * 0xbf58476d1ce4e5b9 | 1;
    }

    uint32_t next() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return static_cast<uint32_t>(state >> 32);
    }
};

// One of the set bits of a mask that is not 0: the next above `after`, below it, or any.
inline int next_bit(unsigned mask, int after, Order order, Random& random) {
    switch (order) {
        case Order::forward: {
            const unsigned above = after >= 31 ? 0 : mask & ~0u << (after + 1);
            return __builtin_ctz(above != 0 ? above : mask);
        }
        case Order::reverse: {
            const unsigned below = after <= 0 ? 0 : mask & ((1u << after) - 1);
            return 31 - __builtin_clz(below != 0 ? below : mask);
        }
        default: {
            const unsigned by = random.next() & 31;
            const unsigned rotated = by == 0 ? mask : mask >> by | mask << (32 - by);
            return static_cast<int>((__builtin_ctz(rotated) + by) & 31);
        }
    }
}

}  // namespace lelkern::emulation
