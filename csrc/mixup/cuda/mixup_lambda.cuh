// The kernel that draws lambda: a thread a draw.
#pragma once

#include "mixup/common/beta_draw.h"
#include "mixup/cuda/mixing.cuh"
#include "mixup/cuda/mixup_lambda.h"

namespace lelkern::mixup::cuda {

constexpr int kDrawThreads = 128;

template <typename To>
__global__ void __launch_bounds__(kDrawThreads)
    draw_lambda_kernel(const int64_t* seed, const double* alpha, bool fold, To* lam, int64_t n) {
    const int64_t i = int64_t{blockIdx.x} * kDrawThreads + threadIdx.x;
    if (i >= n) return;
    const double draw = beta_draw(static_cast<uint64_t>(*seed), *alpha, i, fold);
    lam[i] = rounded_to<To>(static_cast<NumberOf<To>>(draw));
}

}  // namespace lelkern::mixup::cuda
