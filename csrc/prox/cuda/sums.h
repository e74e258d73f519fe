// Sums of many numbers on a GPU, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "shared/cuda/element.h"

namespace lelkern::prox::cuda {

// Room that add_up needs behind the numbers.
constexpr int64_t kSumsRoom = 256;

// to = the sum of `count` numbers, in float or double: the same bits in every run.
cudaError_t add_up(double* numbers, int64_t count, void* to, Element element, cudaStream_t stream);

}  // namespace lelkern::prox::cuda
