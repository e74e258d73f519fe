// Where the gradients of thresholds go, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "prox/cuda/sums.h"

namespace lelkern::prox::cuda {

// Of one threshold for each group, or of one for all, which is a sum over groups.
struct ThresholdGradient {
    void* to;  // like the thresholds; null: not asked for
    // Room for a number of each group and kSumsRoom more; null: each has a threshold of its own.
    double* each;
};

// After kernels have stored the gradients of `count` groups of tensors of a type.
inline cudaError_t finish(const ThresholdGradient& of, int64_t count, Element element,
                          cudaStream_t stream) {
    if (of.to == nullptr || of.each == nullptr) return cudaSuccess;
    const bool in_double = element == Element::float64;
    return add_up(of.each, count, of.to, in_double ? Element::float64 : Element::float32, stream);
}

}  // namespace lelkern::prox::cuda
