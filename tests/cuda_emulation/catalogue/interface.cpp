// Functions that show what Python can pass, and what becomes of it.
#include <cstdint>

#include "cuda_emulation_arrays.h"
#include "shared/cuda/device.cuh"

namespace {

using lelkern::emulation::Array;
using lelkern::emulation::check_dtype;
using lelkern::emulation::check_shape;

__global__ void add(double* out, double x, float y, int64_t z, uint8_t u, bool b) {
    *out = x + y + z + u + b;
}

cudaError_t run_add(double* out, double x, float y, int64_t z, uint8_t u, bool b,
                    cudaStream_t stream) {
    return LELKERN_LAUNCH(add, 1, 1, 0, stream, out, x, y, z, u, b);
}

// The sizes of a launch, and its errors.
__global__ void sizes(int* out) {
    if (threadIdx.x == 1 && threadIdx.y == 2 && blockIdx.y == 1) {
        out[0] = blockDim.x, out[1] = blockDim.y, out[2] = gridDim.x, out[3] = gridDim.y;
        out[4] = threadIdx.z, out[5] = blockIdx.x;
    }
}

cudaError_t run_sizes(int* out, int x, int y, int grid_x, int grid_y, int shared_bytes,
                      cudaStream_t stream) {
    return LELKERN_LAUNCH(sizes, dim3(grid_x, grid_y), dim3(x, y), shared_bytes, stream, out);
}

// Every kind of shared memory that nobody wrote, as numbers of every format.
template <typename T>
__global__ void poison(T* out, float* dynamic) {
    __shared__ T fixed[4];
    LELKERN_DYNAMIC_SHARED(float, numbers);
    out[0] = fixed[3];
    dynamic[0] = numbers[1];
    fixed[3] = T(1.0f);  // for the next block to find
    numbers[1] = 1;
}

template <typename T>
cudaError_t run_poison(T* out, float* dynamic, cudaStream_t stream) {
    return LELKERN_LAUNCH(poison<T>, 1, 1, 8, stream, out, dynamic);
}

// Two launches, the second of which reads what the first one wrote elsewhere.
__global__ void negate(const float* in, float* out) {
    out[blockIdx.x] = -in[gridDim.x - 1 - blockIdx.x];
}

cudaError_t run_twice(const float* in, float* scratch, float* out, int n, cudaStream_t stream) {
    const cudaError_t error = LELKERN_LAUNCH(negate, n, 1, 0, stream, in, scratch);
    return error != cudaSuccess ? error : LELKERN_LAUNCH(negate, n, 1, 0, stream, scratch, out);
}

__global__ void load_four(const float* in, float* out) {
    const float4 x = *reinterpret_cast<const float4*>(in);
    *out = x.x + x.y + x.z + x.w;
}

cudaError_t run_load_four(const float* in, float* out, cudaStream_t stream) {
    return LELKERN_LAUNCH(load_four, 1, 1, 0, stream, in, out);
}

__global__ void write_at(float* out, int i) { out[i] = 1; }

cudaError_t run_write_at(float* out, int i, cudaStream_t stream) {
    return LELKERN_LAUNCH(write_at, 1, 1, 0, stream, out, i);
}

// out (rows,) = the sums of the rows of a matrix.
__global__ void row_sums(const float* in, int64_t of_row, int64_t of_column, int64_t columns,
                         float* out) {
    out[threadIdx.x] = 0;
    for (int64_t d = 0; d < columns; ++d) {
        out[threadIdx.x] += in[threadIdx.x * of_row + d * of_column];
    }
}

cudaError_t run_row_sums(const Array& in, Array& out, cudaStream_t stream) {
    check_dtype("in", in, "float32");
    check_dtype("out", out, "float32");
    check_shape("out", out, {in.shape.at(0)});
    return LELKERN_LAUNCH(row_sums, 1, static_cast<unsigned>(in.shape[0]), 0, stream,
                          static_cast<const float*>(in.data), in.strides[0], in.strides.at(1),
                          in.shape.at(1), static_cast<float*>(out.data));
}

// Which threads came first, for each thread: the order, made visible by a race.
__global__ void arrivals(int* count, int* out) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(count, 1);
}

cudaError_t run_arrivals(int* count, int* out, cudaStream_t stream) {
    return LELKERN_LAUNCH(arrivals, 2, 64, 0, stream, count, out);
}

// Adds without atomics, one block of two threads.
__global__ void lose_updates(int* count) {
    for (int i = 0; i < 100; ++i) *count += 1;
}

cudaError_t run_lose_updates(int* count, cudaStream_t stream) {
    return LELKERN_LAUNCH(lose_updates, 1, 2, 0, stream, count);
}

}  // namespace

LELKERN_EXPORT(add, run_add);
LELKERN_EXPORT(sizes, run_sizes);
LELKERN_EXPORT(poison_float32, run_poison<float>);
LELKERN_EXPORT(poison_float16, run_poison<__half>);
LELKERN_EXPORT(poison_bfloat16, run_poison<__nv_bfloat16>);
LELKERN_EXPORT(poison_float64, run_poison<double>);
LELKERN_EXPORT(twice, run_twice);
LELKERN_EXPORT(load_four, run_load_four);
LELKERN_EXPORT(write_at, run_write_at);
LELKERN_EXPORT(row_sums, run_row_sums);
LELKERN_EXPORT(arrivals, run_arrivals);
LELKERN_EXPORT(lose_updates, run_lose_updates);
