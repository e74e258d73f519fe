// How the sums of blocks that share a row's candidates become those of the row.
#pragma once

#include <cstdint>

#include "contrastive/cuda/contrastive_rows.cuh"

namespace lelkern::contrastive::cuda {

constexpr int kSharesThreads = 256;

// The row of a thread, of 32 of a block, each of a lane of every warp.
__device__ inline int row_of_lane() { return blockIdx.x * kWarp + lane_of_warp(); }

// The sums of row_of_lane() over all shares, for the first warp of the block. Every warp takes some
// of the shares, and the first one what they made of these: always in the same order. sums:
// (fields, splits, padded); add(a, b) adds b to a.
template <template <typename> class Sums, typename T, typename Add>
__device__ Sums<double> of_all_shares(const T* sums, int padded, int splits, const Add& add) {
    using Row = Sums<double>;
    constexpr int warps = kSharesThreads / kWarp;
    __shared__ double memory[kSharesThreads * Row::fields];
    static_assert(sizeof(Row) == Row::fields * sizeof(double));
    Row* const of_warps = reinterpret_cast<Row*>(memory);
    const int warp = threadIdx.x / kWarp, i = row_of_lane();
    Row own;
    for (int split = warp; split < splits; split += warps) {
        Row share;
        Row::for_each_field([&](auto field, int number) {
            share.*field = sums[(static_cast<int64_t>(number) * splits + split) * padded + i];
        });
        add(own, share);
    }
    of_warps[threadIdx.x] = own;
    __syncthreads();
    for (int other = 1; warp == 0 && other < min(warps, splits); ++other) {
        add(own, of_warps[other * kWarp + lane_of_warp()]);
    }
    return own;
}

}  // namespace lelkern::contrastive::cuda
