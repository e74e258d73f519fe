// The kernels of soft thresholds: neighbouring numbers by neighbouring threads, 16 bytes at a time
// where all addresses allow.
#pragma once

#include "prox/cuda/prox_l1.h"
#include "prox/cuda/prox_numbers.cuh"
#include "prox/cuda/team.cuh"
#include "prox/cuda/threshold_gradient.cuh"

namespace lelkern::prox::cuda {

constexpr int kSoftenedBytes = 16;     // that a thread moves at once
constexpr int kSoftenedByThread = 16;  // numbers

constexpr int kSoftenedByBlock = kThreads * kSoftenedByThread;

// Calls f(place) for each first of `width` numbers of this thread.
template <int width, typename F>
__device__ void each_softened(int64_t count, const F& f) {
    const int64_t begin = static_cast<int64_t>(blockIdx.x) * kSoftenedByBlock;
#pragma unroll
    for (int k = 0; k < kSoftenedByThread / width; ++k) {
        const int64_t at = begin + (k * kThreads + static_cast<int>(threadIdx.x)) * width;
        if (at < count) f(k, at);
    }
}

template <typename E, int width>
__device__ const Vector<E, width>& vector_at(const void* from, int64_t at) {
    return *reinterpret_cast<const Vector<E, width>*>(static_cast<const E*>(from) + at);
}

// Thresholds of a vector, in pieces of at most 16 bytes.
template <typename T, int width>
struct OwnThresholds {
    static constexpr int piece = width * sizeof(T) > 16 ? 16 / sizeof(T) : width;

    __device__ OwnThresholds(const Thresholds& lam, T of_all, int64_t at) {
#pragma unroll
        for (int i = 0; i < width; i += piece) {
            Vector<T, piece> some;
            if (lam.each) some = vector_at<T, piece>(lam.values, at + i);
#pragma unroll
            for (int n = 0; n < piece; ++n) values[i + n] = lam.each ? some.at[n] : of_all;
        }
    }

    T values[width];
};

template <typename E, int width>
__global__ void __launch_bounds__(kThreads, 3) soften_kernel(const Softening softening, E* to) {
    using T = NumberOf<E>;
    constexpr int vectors = kSoftenedByThread / width;
    const T of_all = softening.lam.each ? 0 : *static_cast<const T*>(softening.lam.values);
    Vector<E, width> w[vectors];
    each_softened<width>(softening.count,
                         [&](int k, int64_t at) { w[k] = vector_at<E, width>(softening.w, at); });
    each_softened<width>(softening.count, [&](int k, int64_t at) {
        const OwnThresholds<T, width> lam(softening.lam, of_all, at);
        Vector<E, width> x;
#pragma unroll
        for (int n = 0; n < width; ++n) {
            x.at[n] = rounded_to<E>(soft_threshold(as_number<T>(w[k].at[n]), lam.values[n]));
        }
        *reinterpret_cast<Vector<E, width>*>(to + at) = x;
    });
}

template <typename E, int width>
__global__ void __launch_bounds__(kThreads, 3)
    soften_backward_kernel(const Softening softening, const E* grad, E* to,
                           const ThresholdGradient of_lam) {
    using T = NumberOf<E>;
    constexpr int vectors = kSoftenedByThread / width;
    const T of_all = softening.lam.each ? 0 : *static_cast<const T*>(softening.lam.values);
    Vector<E, width> w[vectors], g[vectors];
    each_softened<width>(softening.count, [&](int k, int64_t at) {
        w[k] = vector_at<E, width>(softening.w, at);
        g[k] = vector_at<E, width>(grad, at);
    });
    double along = 0;
    each_softened<width>(softening.count, [&](int k, int64_t at) {
        const OwnThresholds<T, width> lam(softening.lam, of_all, at);
        Vector<E, width> of_w;
#pragma unroll
        for (int n = 0; n < width; ++n) {
            const T number = as_number<T>(w[k].at[n]), of_x = as_number<T>(g[k].at[n]);
            const T threshold = lam.values[n];
            const bool dead = magnitude(number) <= threshold;
            const bool undefined = !(threshold >= 0) || (is_nan(number) && threshold != 0);
            const T of_number = dead && threshold != 0 ? 0 : of_x;
            T of_own = dead || number == 0 ? 0 : number > 0 ? -of_x : of_x;
            if (undefined) of_own = Numbers<T>::nan();
            of_w.at[n] = rounded_to<E>(undefined ? Numbers<T>::nan() : of_number);
            along += of_own;
            if (softening.lam.each) static_cast<T*>(of_lam.to)[at + n] = of_own;
        }
        *reinterpret_cast<Vector<E, width>*>(to + at) = of_w;
    });
    if (softening.lam.each) return;
    along = Team({kThreads, false}).sum(along);
    if (threadIdx.x == 0) of_lam.each[blockIdx.x] = along;
}

}  // namespace lelkern::prox::cuda
