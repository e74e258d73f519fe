// Threads that share a distribution: a thread alone, a warp, or a block.
#pragma once

#include <cstdint>

#include "shared/cuda/device.cuh"

namespace lelkern::mixup::cuda {

constexpr int kThreads = 256, kWarp = 32;

// A nan in a stays, one in b does not: it turns up in sums.
template <typename T>
__device__ T larger(T a, T b) {
    return b > a ? b : a;
}

template <int threads>
class RowGroup {
  public:
    static_assert(threads == 1 || threads == kWarp || threads == kThreads);

    static constexpr int per_block = kThreads / threads;

    // Which distribution it is for; groups beyond the last have nothing to do.
    __device__ static int64_t row() {
        return static_cast<int64_t>(blockIdx.x) * per_block + threadIdx.x / threads;
    }

    // Classes lane(), lane() + threads ... are this thread's.
    __device__ static int lane() { return threadIdx.x % threads; }

    // The same number in all threads, and the same bits in every run.
    template <typename T>
    __device__ static T sum(T x) {
        return reduce(x, [](T a, T b) { return a + b; });
    }

    template <typename T>
    __device__ static T largest(T x) {
        return reduce(x, [](T a, T b) { return larger(a, b); });
    }

    // What one thread wrote to memory before the last reduction, others read behind this. (A
    // block's reductions wait for all of its threads anyway.)
    __device__ static void sync() {
        if constexpr (threads == kWarp) __syncwarp();
    }

  private:
    template <typename T, typename F>
    __device__ static T reduce(T x, const F& combine) {
        if constexpr (threads > 1) {
#pragma unroll
            for (int step = kWarp / 2; step > 0; step /= 2) {
                x = combine(x, __shfl_xor_sync(0xffffffff, x, step));
            }
        }
        if constexpr (threads > kWarp) {
            __shared__ T of_warps[threads / kWarp];
            if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = x;
            __syncthreads();
            x = of_warps[0];
#pragma unroll
            for (int warp = 1; warp < threads / kWarp; ++warp) x = combine(x, of_warps[warp]);
            __syncthreads();  // before the next reduction writes there
        }
        return x;
    }
};

}  // namespace lelkern::mixup::cuda
