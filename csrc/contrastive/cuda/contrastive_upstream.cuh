// What backward finds out of all upstream gradients, each number by a block of threads of its own.
#pragma once

#include "contrastive/cuda/contrastive_rows.cuh"

namespace lelkern::contrastive::cuda {

// From what each thread of the block has to what f makes of all of it, for the first thread.
template <typename T, typename F>
__device__ T of_block(T own, const F& f) {
    __shared__ T all[kUpstreamThreads];
    const int thread = threadIdx.x;
    all[thread] = own;
    __syncthreads();
    for (int threads = kUpstreamThreads / 2; threads > 0; threads /= 2) {
        if (thread < threads) all[thread] = f(all[thread], all[thread + threads]);
        __syncthreads();
    }
    return all[0];
}

// The sum of upstream gradients times numbers.
template <typename T, typename X>
__device__ double sum_of_products(const T* grad, int64_t grad_stride, const X* x, int count) {
    double own = 0;
    for (int i = threadIdx.x; i < count; i += kUpstreamThreads) {
        own += static_cast<double>(grad[i * grad_stride]) * x[i];
    }
    return of_block(own, [](double a, double b) { return a + b; });
}

// Weights in 16 bits, or summed in fixed point, are multiplied by this power of 2: upstream
// gradients are then at most 2^12, and weights below 2^14, where float16 still holds 2^-38 of it.
// log_sum_exp and factors (see contrastive_prepare): for fixed point, which has no nan, or null; if
// one of either is nan, or a gradient is no finite number, the scale is nan. (A row that is nan and
// no candidate of any other is so only in its factor.)
__device__ inline void find_scale(const float* grad, int64_t grad_stride, const double* log_sum_exp,
                                  const double* factors, int count, float* scale) {
    float own = 0;
    for (int i = threadIdx.x; i < count; i += kUpstreamThreads) {
        const float size = fabsf(grad[i * grad_stride]);
        own = larger(own, size);
        const bool is_nan =
            std::isnan(size) ||
            (log_sum_exp != nullptr && (std::isnan(log_sum_exp[i]) || std::isnan(factors[i])));
        if (is_nan) own = INFINITY;
    }
    const float most = of_block(own, [](float a, float b) { return larger(a, b); });
    if (threadIdx.x != 0) return;
    // At most 2^126: finite for the tiniest gradients.
    const bool usual = most > 0 && std::isfinite(most);
    *scale = usual ? exp2f(-larger(-126.0f, ceilf(log2f(most) - 12))) : 1;
    if (log_sum_exp != nullptr && !std::isfinite(most)) *scale = nanf("");
}

// The gradient of the temperature, of its type, from the derivative of each loss by beta; without a
// slope it is nan. Where there is a second block, that finds the scale of weights.
template <typename T>
__global__ void __launch_bounds__(kUpstreamThreads)
    contrastive_upstream(const T* grad, int64_t grad_stride, int count, const double* slope,
                         const void* temperature, Element element, void* to,
                         const double* log_sum_exp, const double* factors, T* scale) {
    if (blockIdx.x == 1) {
        if constexpr (std::is_same_v<T, float>) {
            find_scale(grad, grad_stride, log_sum_exp, factors, count, scale);
        }
        return;
    }
    const double sum =
        slope == nullptr ? nan("") : sum_of_products(grad, grad_stride, slope, count);
    if (threadIdx.x != 0) return;
    const double beta = static_cast<double>(scale_of<T>(temperature, element)) * kLn2;
    write_number(to, element, -beta * beta * sum);
}

}  // namespace lelkern::contrastive::cuda
