// Rows of embeddings as they come, and as the tiles want them: packed.
#pragma once

#include "contrastive/cuda/contrastive_pass.cuh"

namespace lelkern::contrastive::cuda {

constexpr int kWarp = 32;
constexpr int kLabelThreads = 256;
constexpr int kLabelRows = 16;  // of a block
constexpr int kRowThreads = 128;
constexpr int kUpstreamThreads = 256;
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

// A side that is to be packed. words: (padded, stride); factors: (padded,), what a row was
// multiplied by to become one of norm 1, or 1 unless rows are normalised; inverse_norm: see Side,
// (padded,).
template <typename T, typename Word>
struct Packing {
    Rows<T> rows;
    int padded;
    Word* words;
    double* factors;
    float* inverse_norm;
};

// All sides of a comparison: rows, columns and given positives, as far as it has them.
template <typename T, typename Word>
struct Packings {
    Packing<T, Word> at[3];
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

// To a number whose type is known when the kernel runs.
__device__ inline void write_number(void* to, Element element, double x) {
    switch (element) {
        case Element::float64:
            *static_cast<double*>(to) = x;
            break;
        case Element::float32:
            *static_cast<float*>(to) = static_cast<float>(x);
            break;
        case Element::float16:
            *static_cast<__half*>(to) = rounded<__half>(x);
            break;
        default:
            *static_cast<__nv_bfloat16*>(to) = rounded<__nv_bfloat16>(x);
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

template <typename Word>
__device__ double at(const Side<Word>& side, int i, int stride, int d) {
    const double word = get(side.words + static_cast<int64_t>(i) * stride, d);
    return side.inverse_norm == nullptr ? word : word * side.inverse_norm[i];
}

}  // namespace lelkern::contrastive::cuda
