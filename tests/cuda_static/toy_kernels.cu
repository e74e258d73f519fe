// Kernels of which it is known what the compiler has to make of them.
#include "shared/cuda/instructions.cuh"

namespace toy {

template <typename T, int value>
__global__ void __launch_bounds__(96) fill(T* to) {
    to[threadIdx.x] = value;
}

// 96 numbers in a register each, and only 64 registers a thread.
__global__ void __launch_bounds__(1024) spilling(const float* from, float* to, int steps) {
    float x[96];
#pragma unroll
    for (int i = 0; i < 96; ++i) x[i] = from[i];
    for (int step = 0; step < steps; ++step) {
#pragma unroll
        for (int i = 0; i < 96; ++i) x[i] = x[i] * x[(i + 7) % 96] + from[threadIdx.x];
    }
#pragma unroll
    for (int i = 0; i < 96; ++i) to[i * 1024 + threadIdx.x] = x[i];
}

// What is indexed by a number that is not known before it runs has to be in memory.
__global__ void __launch_bounds__(32) indexing(const int* at, float* to, int steps) {
    float x[32] = {};
    for (int step = 0; step < steps; ++step) x[at[step] % 32] += 1;
    to[threadIdx.x] = x[threadIdx.x];
}

__global__ void __launch_bounds__(32) loads(const float* from, const float4* wide, float* to) {
    __shared__ float4 copied[32];
    lelkern::cp_async_16(&copied[threadIdx.x], &wide[threadIdx.x]);
    lelkern::cp_async_commit();
    lelkern::cp_async_wait<0>();
    const float4 x = wide[threadIdx.x + 32];
    to[threadIdx.x] = from[threadIdx.x] + x.x + x.y + x.z + x.w + copied[threadIdx.x].x;
}

// Two products before the loop and one in it.
template <typename T>
__global__ void __launch_bounds__(32) multiply_mma(const uint32_t* from, float* to, int steps) {
    const uint32_t a[4] = {from[0], from[1], from[2], from[3]}, b[2] = {from[4], from[5]};
    float c[4] = {};
    lelkern::mma_16816(c, a, b, T());
    lelkern::mma_16816(c, a, b, T());
#pragma unroll 1
    for (int step = 0; step < steps; ++step) lelkern::mma_16816(c, a, b, T());
    to[threadIdx.x] = c[0] + c[1] + c[2] + c[3];
}

// Rounds of a loop, each with two rounds of an inner one that has two products; every hundredth
// round stores its sums, which the others do not.
__global__ void __launch_bounds__(32) rounds(const uint32_t* from, float* to, int rounds) {
    const uint32_t a[4] = {from[0], from[1], from[2], from[3]}, b[2] = {from[4], from[5]};
    float c[4] = {};
#pragma unroll 1
    for (int round = 0; round < rounds; ++round) {
#pragma unroll 1
        for (int step = 0; step < static_cast<int>(from[6]); ++step) {
            lelkern::mma_16816(c, a, b, __half());
            lelkern::mma_16816(c, a, b, __half());
        }
        if (round % 100 == 99) {
#pragma unroll
            for (int k = 0; k < 4; ++k) to[4 * round + k] = c[k];
        }
        c[0] = lelkern::exp2_approximately(c[0]);
        __syncthreads();
    }
    to[threadIdx.x] = c[0] + c[1] + c[2] + c[3];
}

template __global__ void fill<int, 3>(int*);
template __global__ void multiply_mma<__half>(const uint32_t*, float*, int);
template __global__ void multiply_mma<__nv_bfloat16>(const uint32_t*, float*, int);

}  // namespace toy
