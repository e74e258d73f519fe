// Draws of MixUp's lambda on a GPU, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "shared/cuda/element.h"

namespace lelkern::mixup::cuda {

// Seed and alpha are read by the kernel, which is all that is queued on the stream.
cudaError_t draw_lambda(const int64_t* seed, const double* alpha, bool fold, void* lam, int64_t n,
                        Element element, cudaStream_t stream);

}  // namespace lelkern::mixup::cuda
