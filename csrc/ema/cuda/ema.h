// The update of exponential moving averages on a GPU, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "ema/common/ema_pair.h"
#include "shared/cuda/element.h"
#include "shared/cuda/kernel_entry.h"

namespace lelkern::ema::cuda {

struct Update {
    const KernelEntry<kPair>* pairs;
    int64_t count;
    double decay;
    const void* decay_tensor;  // a number on the device, instead of `decay`; or null
    Element decay_element;
    const int64_t* seed;    // on the device, for averages of 16 bits; or null: round to nearest
    bool large_parameters;  // whether the driver takes kernels with 32,764 bytes of parameters
};

// ema = decay ema + (1 - decay) param for every pair, as lelkern/reference/ema.py says to the bit.
// Only queues kernels on a stream, one for 817 pairs (100 with small parameters), or fewer where
// they have dimensions: no synchronisation, no allocation, no state.
cudaError_t update_averages(const Update& update, cudaStream_t stream);

}  // namespace lelkern::ema::cuda
