// The kernels that mix rows: a block for each chunk of a result.
#pragma once

#include "mixup/cuda/mix_rows.h"
#include "mixup/cuda/mixing.cuh"

namespace lelkern::mixup::cuda {

// The rows of a mix by number, and where they lie; `valid` if there are such.
struct Pair {
    __device__ Pair(const Mix& mix, int64_t result) : own(result), partner(-1) {
        if (mix.row != nullptr) own = mix.row[own];
        valid = own >= 0 && own < mix.rows;
        if (valid) partner = mix.partner[own];
        valid = valid && partner >= 0 && partner < mix.rows;
        own_place = own;
        partner_place = partner;
        if (valid && mix.place != nullptr) {
            own_place = mix.place[own];
            partner_place = mix.place[partner];
            valid = own_place >= 0 && partner_place >= 0;
        }
    }

    int64_t own, partner, own_place, partner_place;
    bool valid;
};

template <typename From, typename To, bool backward, int width>
__global__ void __launch_bounds__(kMixThreads, 3)
    mix_rows_kernel(const __grid_constant__ Mix mix, unsigned chunks) {
    using Number = NumberOf<To>;
    const int64_t result = blockIdx.x / chunks;
    const Pair pair(mix, result);
    const Channels<Number> channels(mix.channels);
    To* const to = row_of<To>(mix.to, result);
    const auto begin = static_cast<uint32_t>(blockIdx.x % chunks * chunk_of_block<width>);
    const auto features = static_cast<uint32_t>(mix.features);
    Number own_weight = 0, partner_weight = 0;
    const From *own = nullptr, *partner = nullptr;
    if (pair.valid) {
        const auto* const lam = static_cast<const Number*>(mix.lam);
        own_weight = lam[pair.own];
        partner_weight = sum(Number(1), -lam[backward ? pair.partner : pair.own]);
        own = row_of<const From>(mix.from, pair.own_place);
        partner = row_of<const From>(mix.from, pair.partner_place);
    }
    Vector<From, width> first[kSweeps], second[kSweeps];
#pragma unroll
    for (int k = 0; k < kSweeps; ++k) {  // all loads before the first store
        const uint32_t d = begin + (k * kMixThreads + threadIdx.x) * width;
        if (d < features && pair.valid) {
            first[k] = *reinterpret_cast<const Vector<From, width>*>(own + d);
            second[k] = *reinterpret_cast<const Vector<From, width>*>(partner + d);
        }
    }
    // Apart, as the channel of a number is found by dividing, which nvcc does ahead of a test for
    // it.
    const auto write = [&](auto given) {
        constexpr bool by_channel = decltype(given)::value;
#pragma unroll
        for (int k = 0; k < kSweeps; ++k) {
            const uint32_t d = begin + (k * kMixThreads + threadIdx.x) * width;
            if (d >= features) break;
            Vector<To, width> mixed;
#pragma unroll
            for (int n = 0; n < width; ++n) {
                Number x = static_cast<Number>(nan(""));
                if (pair.valid) {
                    Number a = as_number<Number>(first[k].at[n]),
                           b = as_number<Number>(second[k].at[n]);
                    if constexpr (by_channel && !backward) {
                        a = channels.rescaled(a, d + n);
                        b = channels.rescaled(b, d + n);
                    }
                    x = sum(product(own_weight, a), product(partner_weight, b));
                    if constexpr (by_channel && backward) x = channels.scaled(x, d + n);
                }
                mixed.at[n] = rounded_to<To>(x);
            }
            *reinterpret_cast<Vector<To, width>*>(to + d) = mixed;
        }
    };
    // Bytes seldom come without a scale, and both loops would take more registers than there are.
    if (std::is_same_v<From, uint8_t> || channels.given()) {
        write(std::true_type());
    } else if constexpr (!std::is_same_v<From, uint8_t>) {
        write(std::false_type());
    }
}

// A block for each mix: sums of threads, added up in a fixed order.
template <typename From, typename To>
__global__ void __launch_bounds__(kMixThreads, 3)
    lam_backward_kernel(const __grid_constant__ Mix mix, NumberOf<To>* of_lam) {
    using Number = NumberOf<To>;
    __shared__ Number sums[kMixThreads];
    const Pair pair(mix, blockIdx.x);
    const Channels<Number> channels(mix.channels);
    Number total = 0;
    if (pair.valid) {
        const To* const grad = row_of<const To>(mix.to, blockIdx.x);
        const From* const own = row_of<const From>(mix.from, pair.own);
        const From* const partner = row_of<const From>(mix.from, pair.partner);
        for (uint32_t d = threadIdx.x; d < mix.features; d += kMixThreads) {
            const Number a = channels.rescaled(as_number<Number>(own[d]), d);
            const Number b = channels.rescaled(as_number<Number>(partner[d]), d);
            total += as_number<Number>(grad[d]) * (a - b);
        }
    }
    sums[threadIdx.x] = total;
    __syncthreads();
    for (int half = kMixThreads / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0 && pair.valid) of_lam[pair.own] = sums[0];
}

}  // namespace lelkern::mixup::cuda
