// Embeddings as the tiles want them: normalised, padded and packed; how many positives by label
// there are.
#pragma once

#include "contrastive/cuda/contrastive_rows.cuh"

namespace lelkern::contrastive::cuda {

// Blocks (., y) pack side y of a comparison. cleared: (padded, stride) for the first side, numbers
// that become 0; or null.
template <typename T, typename Word>
__global__ void __launch_bounds__(kPrepareThreads)
    contrastive_prepare(Packings<T, Word> sides, int D, int stride, bool normalize,
                        unsigned long long* cleared) {
    constexpr bool narrow = sizeof(Word) == 2;
    const auto [rows, padded, words, factors, inverse_norm] = sides.at[blockIdx.y];
    const int i = row_of_warp(), lane = lane_of_warp();
    if (i >= padded) return;
    const int64_t place = static_cast<int64_t>(i) * stride;
    if (cleared != nullptr && blockIdx.y == 0) {
        for (int d = lane; d < stride; d += kWarp) cleared[place + d] = 0;
    }
    Word* to = words + place;
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
#pragma unroll 1  // two at a time the compiler moves every number once more
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

}  // namespace lelkern::contrastive::cuda
