// The kernels that paste boxes: a block for each chunk of a result.
#pragma once

#include "mixup/cuda/cut_rows.h"
#include "mixup/cuda/mixing.cuh"

namespace lelkern::mixup::cuda {

struct CutBox {
    __device__ CutBox(const Cut& cut, int64_t i)
        : top(cut.boxes[4 * i]),
          left(cut.boxes[4 * i + 1]),
          height(cut.boxes[4 * i + 2]),
          width(cut.boxes[4 * i + 3]) {}

    __device__ bool has(uint32_t row, uint32_t column) const {
        return row >= top && row - top < height && column >= left && column - left < width;
    }

    int64_t top, left, height, width;
};

template <typename From, typename To, bool backward, int width>
__global__ void __launch_bounds__(kMixThreads, 3)
    cut_rows_kernel(const __grid_constant__ Cut cut, unsigned chunks) {
    using Number = NumberOf<To>;
    const int64_t result = blockIdx.x / chunks;
    const int64_t partner = cut.partner[result];
    const bool valid = partner >= 0 && partner < cut.rows;
    // Of a gradient: inside of the own box nothing stays, inside of the other one something comes.
    const CutBox box(cut, result), other(cut, backward && valid ? partner : result);
    const Channels<Number> channels(cut.channels);
    const From* const own = row_of<const From>(cut.from, result);
    const From* const pasted = row_of<const From>(cut.from, valid ? partner : result);
    To* const to = row_of<To>(cut.to, result);
    const auto begin = static_cast<uint32_t>(blockIdx.x % chunks * chunk_of_block<width>);
    const auto features = static_cast<uint32_t>(cut.features);
#pragma unroll
    for (int k = 0; k < kSweeps; ++k) {
        const uint32_t d = begin + (k * kMixThreads + threadIdx.x) * width;
        if (d >= features) break;
        bool stays[width], comes[width], any_stays = false, any_comes = false;
#pragma unroll
        for (int n = 0; n < width; ++n) {
            const uint32_t pixel = (d + n) / cut.inner;
            const uint32_t column = pixel % cut.width, row = pixel / cut.width % cut.height;
            stays[n] = !box.has(row, column);
            comes[n] = backward ? other.has(row, column) : !stays[n];
            any_stays = any_stays || stays[n];
            any_comes = any_comes || comes[n];
        }
        Vector<From, width> first{}, second{};
        if (any_stays) first = *reinterpret_cast<const Vector<From, width>*>(own + d);
        if (any_comes) second = *reinterpret_cast<const Vector<From, width>*>(pasted + d);
        Vector<To, width> mixed;
#pragma unroll
        for (int n = 0; n < width; ++n) {
            const Number a = as_number<Number>(first.at[n]), b = as_number<Number>(second.at[n]);
            Number x;
            if constexpr (backward) {
                x = channels.scaled(sum(stays[n] ? a : Number(0), comes[n] ? b : Number(0)), d + n);
            } else {
                x = channels.rescaled(stays[n] ? a : b, d + n);
            }
            if (comes[n] && !valid) x = static_cast<Number>(nan(""));
            mixed.at[n] = rounded_to<To>(x);
        }
        *reinterpret_cast<Vector<To, width>*>(to + d) = mixed;
    }
}

}  // namespace lelkern::mixup::cuda
