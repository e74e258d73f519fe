// Soft thresholds on a GPU, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "prox/common/groups.h"
#include "prox/cuda/threshold_gradient.h"
#include "shared/cuda/element.h"

namespace lelkern::prox::cuda {

struct Softening {
    const void* w;
    Element element;
    int64_t count;   // of numbers, at least one
    Thresholds lam;  // `each`: one for each number
};

// Blocks that the launches below have: for one threshold, its gradient has a part from each.
int64_t blocks_of(const Softening& softening);

// Both only queue kernels on a stream.
cudaError_t soften(const Softening& softening, void* to, cudaStream_t stream);

// `grad`, that of the result, and `to` are like w.
cudaError_t soften_backward(const Softening& softening, const void* grad, void* to,
                            const ThresholdGradient& of_lam, cudaStream_t stream);

}  // namespace lelkern::prox::cuda
