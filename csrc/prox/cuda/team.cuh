// Threads that share a group. All threads of a block take part in everything that teams do
// together, those without a group or with nothing left to do as well.
#pragma once

#include <cstdint>

#include "prox/cuda/team.h"
#include "shared/cuda/device.cuh"

namespace lelkern::prox::cuda {

class Team {
  public:
    __device__ explicit Team(const TeamShape& shape) : lanes_(shape.lanes) {
        const int teams = shape.per_block(), thread = threadIdx.x;
        across_ = shape.interleaved || lanes_ > kWarp;
        if (across_) {
            number_ = thread % teams;
            lane_ = thread / teams;
            nearest_ = teams;
            reach_ = kWarp;
            stride_ = teams > kWarp ? teams : kWarp;
        } else {
            number_ = thread / lanes_;
            lane_ = thread % lanes_;
            nearest_ = 1;
            reach_ = lanes_;
            stride_ = kThreads;
        }
    }

    __device__ int number() const { return number_; }  // of the block's teams
    __device__ int lanes() const { return lanes_; }
    __device__ int lane() const { return lane_; }

    // The same number in all lanes of a team, and the same bits in every run.
    __device__ double sum(double x) const {
        double one[] = {x};
        reduce(one, [](double a, double b) { return a + b; });
        return one[0];
    }
    __device__ void sum(double& x, double& y) const {
        double both[] = {x, y};
        reduce(both, [](double a, double b) { return a + b; });
        x = both[0];
        y = both[1];
    }

    // Of numbers none of which is nan.
    __device__ double largest(double x) const {
        double one[] = {x};
        reduce(one, [](double a, double b) { return b > a ? b : a; });
        return one[0];
    }

    // Whether it is so for any thread of those that reduce together: the warp's or the block's.
    __device__ bool any(bool x) const {
        const int of_warp = __any_sync(0xffffffff, x);
        if (!across_) return of_warp != 0;
        __shared__ int of_warps[kThreads / kWarp];
        if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = of_warp;
        __syncthreads();
        int of_block = 0;
#pragma unroll
        for (int warp = 0; warp < kThreads / kWarp; ++warp) of_block |= of_warps[warp];
        __syncthreads();  // before the next call writes there
        return of_block != 0;
    }

  private:
    template <int count, typename F>
    __device__ void reduce(double (&x)[count], const F& combine) const {
#pragma unroll 1
        for (int step = reach_ / 2; step >= nearest_; step /= 2) {
#pragma unroll
            for (int i = 0; i < count; ++i) {
                x[i] = combine(x[i], __shfl_xor_sync(0xffffffff, x[i], step));
            }
        }
        if (stride_ == kThreads) return;
        __shared__ double of_threads[count][kThreads];
#pragma unroll
        for (int i = 0; i < count; ++i) of_threads[i][threadIdx.x] = x[i];
        __syncthreads();
#pragma unroll
        for (int i = 0; i < count; ++i) {
            x[i] = of_threads[i][number_];
#pragma unroll 1
            for (int at = number_ + stride_; at < kThreads; at += stride_) {
                x[i] = combine(x[i], of_threads[i][at]);
            }
        }
        __syncthreads();  // before the next reduction writes there
    }

    const int lanes_;
    int number_, lane_;
    int nearest_, reach_;  // lanes of a warp that reduce are so far apart at least, and less
    int stride_;           // threads whose numbers are added after that are so far apart
    bool across_;          // whether warps share a team
};

}  // namespace lelkern::prox::cuda
