// Embeddings as the tiles want them: normalised, padded and packed; how many positives by label
// there are; what weights are multiplied by.
#pragma once

#include "contrastive/cuda/contrastive_rows.cuh"

namespace lelkern::contrastive::cuda {

// words: (padded, stride); factors: (padded,), what a row was multiplied by to become one of norm
// 1, or 1 unless `normalize`; inverse_norm: see Side, (padded,).
template <typename T, typename Word>
__global__ void __launch_bounds__(kPrepareThreads)
    contrastive_prepare(Rows<T> rows, int D, int padded, int stride, bool normalize, Word* words,
                        double* factors, float* inverse_norm) {
    constexpr bool narrow = sizeof(Word) == 2;
    const int i = row_of_warp(), lane = lane_of_warp();
    if (i >= padded) return;
    Word* to = words + static_cast<int64_t>(i) * stride;
    if (i >= rows.count) {
        for (int d = lane; d < stride; d += kWarp) put(to, d, 0);
        if (lane == 0) {
            factors[i] = 0;
            if (narrow) inverse_norm[i] = 0;
        }
        return;
    }
    const T* from = rows.row(i);
    // As it is going to be multiplied, which may be rounded to 16 bits.
    const auto read = [&](int d) {
        if constexpr (narrow) return to_double(rounded<Word>(to_double(from[d])));
        return to_double(from[d]);
    };
    double factor = 1;
    if (normalize) {
        double square = 0;
        for (int d = lane; d < D; d += kWarp) square += read(d) * read(d);
        const double norm = sqrt(sum_of_warp(square));
        factor = std::isinf(norm) ? nan("") : norm < kEps ? 0 : 1 / norm;
    }
    double multiplied = factor;
    if (narrow) {
        // By a power of 2 to a norm of 1/2 to 1, which rounds nothing but what is below the normal
        // numbers of float16, by 2^-25 at most.
        multiplied = normalize && factor > 0 ? exp2(floor(log2(factor))) : 1;
        if (normalize && factor == 0) multiplied = 0;
    }
    for (int d = lane; d < stride; d += kWarp) {
        put(to, d, d < D ? read(d) * multiplied : 0);
    }
    if (lane == 0) {
        factors[i] = factor;
        if (narrow) inverse_norm[i] = multiplied == 0 ? 0 : static_cast<float>(factor / multiplied);
    }
}

// counts[i] = how many other rows have the label of row i. A block counts for kLabelRows rows, so
// that it reads every label once for all of them, by all of its threads.
__global__ void __launch_bounds__(kLabelThreads)
    contrastive_count(const int64_t* labels, int count, int* counts) {
    constexpr int warps = kLabelThreads / kWarp;
    __shared__ int found[warps][kLabelRows];
    const int i0 = blockIdx.x * kLabelRows, thread = threadIdx.x;
    int64_t own[kLabelRows];
    int equal[kLabelRows] = {};
#pragma unroll
    for (int r = 0; r < kLabelRows; ++r) own[r] = labels[min(i0 + r, count - 1)];
    for (int j = thread; j < count; j += kLabelThreads) {
        const int64_t label = labels[j];
#pragma unroll
        for (int r = 0; r < kLabelRows; ++r) equal[r] += label == own[r];
    }
#pragma unroll
    for (int r = 0; r < kLabelRows; ++r) {
        const int of_warp = sum_of_warp(equal[r]);
        if (thread % kWarp == 0) found[thread / kWarp][r] = of_warp;
    }
    __syncthreads();
    if (thread >= kLabelRows || i0 + thread >= count) return;
    int others = -1;  // without the row itself
    for (int warp = 0; warp < warps; ++warp) others += found[warp][thread];
    counts[i0 + thread] = others;
}

// Weights in 16 bits, or summed in fixed point, are multiplied by this power of 2: upstream
// gradients are then at most 2^12, and weights below 2^14, where float16 still holds 2^-38 of it.
// log_sum_exp and factors (see contrastive_prepare): for fixed point, which has no nan, or null; if
// one of either is nan, or a gradient is no finite number, the scale is nan. (A row that is nan and
// no candidate of any other is so only in its factor.)
__global__ void __launch_bounds__(kScaleThreads)
    contrastive_scale(const float* grad, int64_t grad_stride, const double* log_sum_exp,
                      const double* factors, int count, float* scale) {
    __shared__ float largest[kScaleThreads];
    float own = 0;
    for (int i = threadIdx.x; i < count; i += kScaleThreads) {
        const float size = fabsf(grad[i * grad_stride]);
        own = larger(own, size);
        const bool is_nan =
            std::isnan(size) ||
            (log_sum_exp != nullptr && (std::isnan(log_sum_exp[i]) || std::isnan(factors[i])));
        if (is_nan) own = INFINITY;
    }
    largest[threadIdx.x] = own;
    __syncthreads();
    for (int threads = kScaleThreads / 2; threads > 0; threads /= 2) {
        if (static_cast<int>(threadIdx.x) < threads) {
            largest[threadIdx.x] = larger(largest[threadIdx.x], largest[threadIdx.x + threads]);
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        const float most = largest[0];
        // At most 2^126: finite for the tiniest gradients.
        const bool usual = most > 0 && std::isfinite(most);
        *scale = usual ? exp2f(-larger(-126.0f, ceilf(log2f(most) - 12))) : 1;
        if (log_sum_exp != nullptr && !std::isfinite(most)) *scale = nanf("");
    }
}

}  // namespace lelkern::contrastive::cuda
