// From what an average is computed in to what it is stored in: to nearest, or stochastically.
#pragma once

#include <cstdint>

#include "shared/common/philox.h"
#include "shared/cuda/device.cuh"

namespace lelkern::ema::cuda {

__device__ inline void store_nearest(double& to, double x) { to = x; }
__device__ inline void store_nearest(float& to, float x) { to = x; }
__device__ inline void store_nearest(__half& to, float x) { to = __float2half_rn(x); }
__device__ inline void store_nearest(__nv_bfloat16& to, float x) { to = __float2bfloat16_rn(x); }

// 16 random bits for each of 8 neighbours: a block of Philox.
struct Noise {
    PhiloxWords words;

    // Of neighbour i.
    __device__ uint32_t bits(int i) const {
        const uint32_t low = i & 2 ? words.at[1] : words.at[0];
        const uint32_t high = i & 2 ? words.at[3] : words.at[2];
        return (i & 4 ? high : low) >> (16 * (i & 1)) & 0xffff;
    }
};

// Numbers 8 block and up of a tensor.
__device__ inline Noise noise_of(int64_t block, uint32_t tensor, int64_t seed) {
    return {philox({{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), tensor, 0}},
                   static_cast<uint64_t>(seed))};
}

__device__ inline bool is_finite(float x) { return (__float_as_uint(x) & 0x7f800000) < 0x7f800000; }

// To one of the two neighbours: away from zero if the share of the way there and noise / 2^16 sum
// to at least 1.
__device__ inline void store_stochastic(__nv_bfloat16& to, float x, uint32_t noise) {
    if (is_finite(x)) x = __uint_as_float((__float_as_uint(x) + noise) & 0xffff0000);
    to = __float2bfloat16_rn(x);
}

__device__ inline void store_stochastic(__half& to, float x, uint32_t noise) {
    constexpr float smallest_normal = 0x1p-14f;
    if (fabsf(x) < smallest_normal) {
        // Its numbers are 2^-24 apart here; every step below is exact.
        const float steps = fabsf(x) * 0x1p24f, whole = floorf(steps);
        const bool up = steps - whole >= 1 - static_cast<float>(noise) * 0x1p-16f;
        x = copysignf((whole + (up ? 1 : 0)) * 0x1p-24f, x);
    } else if (is_finite(x)) {
        x = __uint_as_float((__float_as_uint(x) + (noise >> 3)) & ~0x1fffu);
    }
    to = __float2half_rn(x);
}

}  // namespace lelkern::ema::cuda
