// Embeddings as the tiles want them: normalised, padded and packed; similarities of given
// positives; how many positives by label there are.
#pragma once

#include "contrastive/cuda/contrastive_pass.cuh"

namespace lelkern::contrastive::cuda {

constexpr int kWarp = 32;
constexpr int kPrepareThreads = 256;  // 8 rows
constexpr double kEps = 1e-12;        // a row with a smaller norm is similar to nothing

// As the kernels read embeddings: one tensor, or two stacked.
template <typename T>
struct Rows {
    const T* parts[2];
    int64_t strides[2];
    int first, count;  // rows of the first part, and of both

    __device__ const T* row(int i) const {
        return i < first ? parts[0] + i * strides[0] : parts[1] + (i - first) * strides[1];
    }
};

__device__ inline double to_double(double x) { return x; }
__device__ inline double to_double(float x) { return x; }
__device__ inline double to_double(__half x) { return __half2float(x); }
__device__ inline double to_double(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename To>
__device__ To rounded(double x) {
    if constexpr (std::is_same_v<To, __half>) {
        return __float2half_rn(static_cast<float>(x));
    } else if constexpr (std::is_same_v<To, __nv_bfloat16>) {
        return __float2bfloat16_rn(static_cast<float>(x));
    } else {
        return static_cast<To>(x);
    }
}

// Feature d of a row of words.
template <typename Word>
__device__ void put(Word* row, int d, double x) {
    if constexpr (kTerms<Word> == 1) {
        row[d] = rounded<Word>(x);
    } else {
        char* const bytes = reinterpret_cast<char*>(row);
        double rest = x;
#pragma unroll
        for (int term = 0; term < kTerms<Word>; ++term) {
            const auto next = rounded<TermOf<Word>>(rest);
            *reinterpret_cast<TermOf<Word>*>(bytes + offset_of<Word>(d, term)) = next;
            rest -= to_double(next);
        }
    }
}

template <typename Word>
__device__ double get(const Word* row, int d) {
    if constexpr (kTerms<Word> == 1) {
        return to_double(row[d]);
    } else {
        const char* const bytes = reinterpret_cast<const char*>(row);
        double sum = 0;
#pragma unroll
        for (int term = 0; term < kTerms<Word>; ++term) {
            sum +=
                to_double(*reinterpret_cast<const TermOf<Word>*>(bytes + offset_of<Word>(d, term)));
        }
        return sum;
    }
}

template <typename T>
__device__ T sum_of_warp(T x) {
    for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) x += __shfl_xor_sync(~0u, x, lanes);
    return x;
}

// Warps work on a row each.
__device__ inline int row_of_warp() {
    return blockIdx.x * (kPrepareThreads / kWarp) + threadIdx.x / kWarp;
}
__device__ inline int lane_of_warp() { return threadIdx.x % kWarp; }

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

template <typename Word>
__device__ double at(const Side<Word>& side, int i, int stride, int d) {
    const double word = get(side.words + static_cast<int64_t>(i) * stride, d);
    return side.inverse_norm == nullptr ? word : word * side.inverse_norm[i];
}

// similarity[i] = that of row i with its given positive.
template <typename Word>
__global__ void __launch_bounds__(kPrepareThreads)
    contrastive_given(Side<Word> rows, Side<Word> given, int stride, NumberOf<Word>* similarity) {
    const int i = row_of_warp(), lane = lane_of_warp();
    if (i >= rows.count) return;
    double sum = 0;
    for (int d = lane; d < stride; d += kWarp) {
        sum += at(rows, i, stride, d) * at(given, i, stride, d);
    }
    sum = sum_of_warp(sum);
    if (lane == 0) similarity[i] = static_cast<NumberOf<Word>>(sum);
}

constexpr int kLabelThreads = 128;

// counts[i] = how many other rows have the label of row i.
__global__ void __launch_bounds__(kLabelThreads)
    contrastive_count(const int64_t* labels, int count, int* counts) {
    __shared__ int64_t some[kLabelThreads];
    const int i = blockIdx.x * kLabelThreads + threadIdx.x;
    const int64_t own = i < count ? labels[i] : 0;
    int equal = -1;  // itself
    for (int first = 0; first < count; first += kLabelThreads) {
        const int j = first + threadIdx.x;
        if (j < count) some[threadIdx.x] = labels[j];
        __syncthreads();
        const int there = min(kLabelThreads, count - first);
        for (int k = 0; k < there; ++k) equal += some[k] == own;
        __syncthreads();
    }
    if (i < count) counts[i] = equal;
}

}  // namespace lelkern::contrastive::cuda
