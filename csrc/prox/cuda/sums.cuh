// The kernel that adds up numbers: a block for each run of them.
#pragma once

#include <cstdint>

#include "prox/cuda/team.cuh"

namespace lelkern::prox::cuda {

// to[b] = the sum of the numbers b run to (b + 1) run - 1.
template <typename To>
__global__ void __launch_bounds__(kThreads)
    add_up_kernel(const double* numbers, int64_t count, int64_t run, To* to) {
    const Team block({kThreads, false});
    const int64_t begin = static_cast<int64_t>(blockIdx.x) * run;
    const int64_t end = begin + run < count ? begin + run : count;
    double own = 0;
    for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) own += numbers[i];
    const double sum = block.sum(own);
    if (threadIdx.x == 0) to[blockIdx.x] = static_cast<To>(sum);
}

}  // namespace lelkern::prox::cuda
