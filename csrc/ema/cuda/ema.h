// The update of exponential moving averages on a GPU, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "ema/common/ema_dimension.h"
#include "shared/cuda/element.h"

namespace lelkern::ema::cuda {

// An average and its parameter, `count` numbers each.
struct EmaPair {
    void* ema;
    const void* param;
    Element ema_element, param_element;
    int64_t count;
    // Where the numbers lie: none for those that lie without gaps, both in the same order;
    // otherwise as the dimensions say, the innermost first.
    const Dimension* dimensions;
    int dimension_count;
};

struct EmaUpdate {
    const EmaPair* pairs;
    int64_t count;
    double decay;
    const void* decay_tensor;  // a number on the device, instead of `decay`; or null
    Element decay_element;
    const int64_t* seed;    // on the device, for averages of 16 bits; or null: round to nearest
    bool large_parameters;  // whether the driver takes kernels with 32,764 bytes of parameters
};

// The driver that does: that of CUDA 12.1, which no later one undoes.
constexpr int kDriverOfLargeParameters = 12010;

// ema = decay ema + (1 - decay) param for every pair, as lelkern/reference/ema.py says to the bit.
// Only queues kernels on a stream, one for 817 pairs (100 with small parameters), or fewer where
// they have dimensions: no synchronisation, no allocation, no state.
cudaError_t update_averages(const EmaUpdate& update, cudaStream_t stream);

}  // namespace lelkern::ema::cuda
