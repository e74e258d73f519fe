// What a CPU needs to update averages: arithmetic for whatever instruction set it runs.
#pragma once

#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>

namespace lelkern::ema {

using torch::headeronly::ScalarType;

// The mean is heavy + weight (light - heavy), from whichever of average and parameter weighs more.
struct Weights {
    explicit Weights(double decay);

    double weight;  // of the light one: at most 1/2; nan for a decay outside [0, 1]
    bool ema_is_heavy;
};

// Updates n elements that lie side by side. `noise`: 16 random bits for each, for averages of 16
// bits that are rounded stochastically; otherwise null.
using Update = void (*)(void* ema, const void* param, int64_t n, const Weights& weights,
                        const uint16_t* noise);

// How many elements share a block of Philox, and how many blocks are computed together at least.
constexpr int kBlock = 8, kBlocksAtOnce = 8;

// noise[kBlock * i + k] = that of element k of blocks[i] of tensor number t of its list, for
// `count` blocks, a multiple of kBlocksAtOnce.
using Noise = void (*)(uint64_t seed, uint32_t t, const uint64_t* blocks, int64_t count,
                       uint16_t* noise);

struct Kernels {
    Update updates[4][4];  // by place_of(the average's dtype) and the parameter's
    Noise noise;
};

const Kernels& kernels();

}  // namespace lelkern::ema
