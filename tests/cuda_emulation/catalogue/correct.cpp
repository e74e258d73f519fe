// Kernels without a fault: no detector may say anything about them, in any order.
#include <cstdint>

#include "cuda_emulation_export.h"
#include "shared/cuda/instructions.cuh"

namespace {

// out (columns x rows) = in (rows x columns) transposed, by tiles of 32 x 32.
__global__ void transpose(const float* in, float* out, int rows, int columns) {
    __shared__ float tile[32][33];
    const int column = blockIdx.x * 32 + threadIdx.x;
    for (int i = threadIdx.y; i < 32; i += blockDim.y) {
        const int row = blockIdx.y * 32 + i;
        if (row < rows && column < columns) tile[i][threadIdx.x] = in[row * columns + column];
    }
    __syncthreads();
    const int row = blockIdx.y * 32 + threadIdx.x;
    for (int i = threadIdx.y; i < 32; i += blockDim.y) {
        const int to = blockIdx.x * 32 + i;
        if (row < rows && to < columns) out[to * rows + row] = tile[threadIdx.x][i];
    }
}

cudaError_t run_transpose(const float* in, float* out, int rows, int columns, cudaStream_t stream) {
    const dim3 grid((columns + 31) / 32, (rows + 31) / 32), block(32, 8);
    return LELKERN_LAUNCH(transpose, grid, block, 0, stream, in, out, rows, columns);
}

__device__ __forceinline__ float warp_sum(float x) {
    for (int lanes = 16; lanes > 0; lanes /= 2) x += __shfl_xor_sync(0xffffffff, x, lanes);
    return x;
}

// out[block] = the sum of the block's share of in.
__global__ __launch_bounds__(256) void block_sum(const float* __restrict__ in,
                                                 float* __restrict__ out, int n) {
    __shared__ float of_warp[8];
    float total = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        total += in[i];
    }
    total = warp_sum(total);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = total;
    __syncthreads();
    if (threadIdx.x < 32) {
        total = warp_sum(threadIdx.x < blockDim.x / 32 ? of_warp[threadIdx.x] : 0.0f);
        if (threadIdx.x == 0) out[blockIdx.x] = total;
    }
}

cudaError_t run_block_sum(const float* in, float* out, int n, int blocks, cudaStream_t stream) {
    return LELKERN_LAUNCH(block_sum, blocks, 256, 0, stream, in, out, n);
}

// out[i] = in[0] + ... + in[i], within a block; between its two buffers one barrier a step will do.
__global__ void scan(const float* in, float* out) {
    LELKERN_DYNAMIC_SHARED(float, sums);
    const int n = blockDim.x, i = threadIdx.x;
    int from = 0;
    sums[i] = in[i];
    __syncthreads();
    for (int step = 1; step < n; step *= 2) {
        const float* const old = sums + from * n;
        sums[(1 - from) * n + i] = i >= step ? old[i] + old[i - step] : old[i];
        from = 1 - from;
        __syncthreads();
    }
    out[i] = sums[from * n + i];
}

cudaError_t run_scan(const float* in, float* out, int n, cudaStream_t stream) {
    return LELKERN_LAUNCH(scan, 1, n, 2 * n * 4, stream, in, out);
}

// out[i] = in[i] + in[i ^ 1] + in[i ^ 2] ... through shared memory that one warp owns.
__global__ void warp_sum_in_shared(const float* in, float* out) {
    __shared__ float all[4][32];
    const int lane = threadIdx.x % 32;
    float* const row = all[threadIdx.x / 32];
    row[lane] = in[threadIdx.x];
    __syncwarp();
    for (int step = 16; step > 0; step /= 2) {
        const float other = row[lane ^ step];
        __syncwarp();
        row[lane] += other;
        __syncwarp();
    }
    out[threadIdx.x] = row[lane];
}

cudaError_t run_warp_sum_in_shared(const float* in, float* out, cudaStream_t stream) {
    return LELKERN_LAUNCH(warp_sum_in_shared, 1, 128, 0, stream, in, out);
}

// Masks of half a warp, each half with its own shuffles and its own loop; then lane 0 of each half
// meets the other, which passes on what the halves had seen.
__global__ void half_warps(const int* in, int* out) {
    __shared__ int seen[64];
    const int i = threadIdx.x, lane = i % 32, half = lane / 16;
    const unsigned mask = half == 0 ? 0x0000ffff : 0xffff0000;
    seen[i] = in[i];
    __syncwarp(mask);
    int total = 0;
    if (half == 0) {
        for (int step = 8; step > 0; step /= 2) {
            total += __shfl_xor_sync(mask, seen[i], step, 16);
        }
    } else {
        total = __reduce_add_sync(mask, seen[i]);
    }
    if (lane % 16 == 0) {
        __syncwarp(0x00010001);
        total += seen[i ^ 16] + seen[(i ^ 16) + 5];
    }
    out[i] = total;
}

cudaError_t run_half_warps(const int* in, int* out, cudaStream_t stream) {
    return LELKERN_LAUNCH(half_warps, 1, 64, 0, stream, in, out);
}

// The numbers above the threshold, in their order, and how many there are.
__global__ void compact(const float* in, float* out, int* count, float threshold) {
    const bool keep = in[threadIdx.x] > threshold;
    const unsigned votes = __ballot_sync(0xffffffff, keep);
    if (keep) out[__popc(votes & ((1u << threadIdx.x) - 1))] = in[threadIdx.x];
    if (threadIdx.x == 0) *count = __popc(votes);
}

cudaError_t run_compact(const float* in, float* out, int* count, float threshold,
                        cudaStream_t stream) {
    return LELKERN_LAUNCH(compact, 1, 32, 0, stream, in, out, count, threshold);
}

// Counts first in shared memory, then in global.
__global__ void histogram(const uint8_t* in, int* counts, int n) {
    __shared__ int own[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) own[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        atomicAdd(&own[in[i]], 1);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x) atomicAdd(&counts[i], own[i]);
}

cudaError_t run_histogram(const uint8_t* in, int* counts, int n, cudaStream_t stream) {
    return LELKERN_LAUNCH(histogram, 5, 96, 0, stream, in, counts, n);
}

// Threads beyond the end return; the others go on to a barrier, which asks for them only.
__global__ void early_return(const float* in, float* out, int n) {
    static __shared__ float row[128];
    if (static_cast<int>(threadIdx.x) >= n) return;
    row[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = row[n - 1 - threadIdx.x];
}

cudaError_t run_early_return(const float* in, float* out, int n, cudaStream_t stream) {
    return LELKERN_LAUNCH(early_return, 1, 128, 0, stream, in, out, n);
}

// Neighbours within a word, and bytes of a word, belong to different threads. Two at a time they
// are read again.
__global__ void narrow(const __nv_bfloat16* in, __nv_bfloat16* out, uint8_t* bytes) {
    __shared__ __nv_bfloat16 row[64];
    __shared__ uint8_t marks[64];
    const int i = threadIdx.x;
    row[i] = in[i];
    marks[i] = static_cast<uint8_t>(i);
    __syncthreads();
    const __nv_bfloat162 pair = reinterpret_cast<const __nv_bfloat162*>(row)[i / 2];
    out[i] = __float2bfloat16(__bfloat162float(pair.x) + __bfloat162float(pair.y));
    bytes[i] = marks[63 - i];
    __syncthreads();
    if (i < 32) reinterpret_cast<uint32_t*>(row)[i] = 0;
    __syncthreads();
    out[i] = __float2bfloat16(__bfloat162float(out[i]) + __bfloat162float(row[63 - i]));
}

cudaError_t run_narrow(const __nv_bfloat16* in, __nv_bfloat16* out, uint8_t* bytes,
                       cudaStream_t stream) {
    return LELKERN_LAUNCH(narrow, 1, 64, 0, stream, in, out, bytes);
}

// Neighbours within a word belong to different blocks.
__global__ void block_numbers(__nv_bfloat16* out) {
    if (threadIdx.x == 0) out[blockIdx.x] = __float2bfloat16(static_cast<float>(blockIdx.x));
}

cudaError_t run_block_numbers(__nv_bfloat16* out, int blocks, cudaStream_t stream) {
    return LELKERN_LAUNCH(block_numbers, blocks, 32, 0, stream, out);
}

// A block's numbers through global memory, which a barrier orders within the block.
__global__ void through_global(const float* in, float* scratch, float* out) {
    const int first = blockIdx.x * blockDim.x;
    scratch[first + threadIdx.x] = 2 * in[first + threadIdx.x];
    __syncthreads();
    out[first + threadIdx.x] = scratch[first + blockDim.x - 1 - threadIdx.x];
}

cudaError_t run_through_global(const float* in, float* scratch, float* out, cudaStream_t stream) {
    return LELKERN_LAUNCH(through_global, 3, 64, 0, stream, in, scratch, out);
}

// c (m x n) = a (m x k) b (n x k) transposed: a block has 32 x 32 of c, a warp 16 x 16. Tiles of
// k = 16 come by cp.async, one under way while the other is used. Sizes are multiples of 32 and 16.
template <typename T>
__global__ void multiply(const T* a, const T* b, float* c, int n, int k) {
    constexpr int kRow = 24;  // 16 and a margin, so that the rows of a matrix hit different banks
    __shared__ __align__(16) T tile[2][2][32][kRow];
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    const int first_row = blockIdx.y * 32, first_column = blockIdx.x * 32;
    const int warp_row = warp / 2 * 16, warp_column = warp % 2 * 16;

    const auto load = [&](int stage, int from) {
        const int row = thread / 2 % 32, column = thread % 2 * 8;
        const T* const source =
            thread < 64 ? a + (first_row + row) * k : b + (first_column + row) * k;
        lelkern::cp_async_16(&tile[stage][thread / 64][row][column], source + from + column);
        lelkern::cp_async_commit();
    };

    float sums[2][4] = {};
    load(0, 0);
    for (int from = 0, stage = 0; from < k; from += 16, stage ^= 1) {
        if (from + 16 < k) {
            load(stage ^ 1, from + 16);
            lelkern::cp_async_wait<1>();
        } else {
            lelkern::cp_async_wait<0>();
        }
        __syncthreads();
        uint32_t left[4], right[4];
        const int row = lane % 8 + lane / 8 % 2 * 8, column = lane / 16 * 8;
        lelkern::ldmatrix_x4(left, &tile[stage][0][warp_row + row][column]);
        lelkern::ldmatrix_x4(right, &tile[stage][1][warp_column + row][column]);
        for (int i = 0; i < 2; ++i) {
            const uint32_t half[2] = {right[i], right[i + 2]};
            lelkern::mma_16816(sums[i], left, half, T());
        }
        __syncthreads();
    }
    for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < 4; ++j) {
            const int row = first_row + warp_row + lane / 4 + j / 2 * 8;
            const int column = first_column + warp_column + 8 * i + 2 * (lane % 4) + j % 2;
            c[row * n + column] = sums[i][j];
        }
    }
}

template <typename T>
cudaError_t run_multiply(const T* a, const T* b, float* c, int m, int n, int k,
                         cudaStream_t stream) {
    return LELKERN_LAUNCH(multiply<T>, dim3(n / 32, m / 32), 128, 0, stream, a, b, c, n, k);
}

// out (8 j + i) = in (8 i + j) of each of four matrices.
__global__ void transpose_matrices(const __half* in, __half* out) {
    __shared__ __align__(16) __half rows[32][8];
    for (int i = 0; i < 8; ++i) rows[threadIdx.x][i] = in[8 * threadIdx.x + i];
    __syncwarp();
    uint32_t pairs[4];
    lelkern::ldmatrix_x4_transposed(pairs, rows[threadIdx.x]);
    for (int m = 0; m < 4; ++m) {
        const int at = 64 * m + 8 * (threadIdx.x / 4) + 2 * (threadIdx.x % 4);
        reinterpret_cast<uint32_t*>(out)[at / 2] = pairs[m];
    }
}

cudaError_t run_transpose_matrices(const __half* in, __half* out, cudaStream_t stream) {
    return LELKERN_LAUNCH(transpose_matrices, 1, 32, 0, stream, in, out);
}

// c (n x n) = z (n x d) z transposed, in float32: a thread has 4 x 4 of the 64 x 64 of its block.
__global__ __launch_bounds__(256) void similarities(const float* __restrict__ z,
                                                    float* __restrict__ c, int n, int d) {
    constexpr int kDepth = 16;
    __shared__ __align__(16) float left[kDepth][64], right[kDepth][64];
    const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    float sums[4][4] = {};
    for (int from = 0; from < d; from += kDepth) {
        const int row = threadIdx.x / 4, column = threadIdx.x % 4 * 4;
        const float4 l =
            *reinterpret_cast<const float4*>(z + (blockIdx.y * 64 + row) * d + from + column);
        const float4 r =
            *reinterpret_cast<const float4*>(z + (blockIdx.x * 64 + row) * d + from + column);
        left[column][row] = l.x, left[column + 1][row] = l.y;
        left[column + 2][row] = l.z, left[column + 3][row] = l.w;
        right[column][row] = r.x, right[column + 1][row] = r.y;
        right[column + 2][row] = r.z, right[column + 3][row] = r.w;
        __syncthreads();
        for (int k = 0; k < kDepth; ++k) {
            const float4 x = *reinterpret_cast<const float4*>(&left[k][4 * ty]);
            const float4 y = *reinterpret_cast<const float4*>(&right[k][4 * tx]);
            const float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
            for (int i = 0; i < 4; ++i) {
                for (int j = 0; j < 4; ++j) sums[i][j] = fmaf(xs[i], ys[j], sums[i][j]);
            }
        }
        __syncthreads();
    }
    for (int i = 0; i < 4; ++i) {
        const int row = blockIdx.y * 64 + 4 * ty + i;
        *reinterpret_cast<float4*>(c + row * n + blockIdx.x * 64 + 4 * tx) =
            make_float4(sums[i][0], sums[i][1], sums[i][2], sums[i][3]);
    }
}

cudaError_t run_similarities(const float* z, float* c, int n, int d, cudaStream_t stream) {
    return LELKERN_LAUNCH(similarities, dim3(n / 64, n / 64), 256, 0, stream, z, c, n, d);
}

// Numbers go round by one thread with every two barriers. Also to see how long a barrier takes.
__global__ void rotate(int* out, int count) {
    LELKERN_DYNAMIC_SHARED(int, row);
    int x = threadIdx.x;
    for (int i = 0; i < count; ++i) {
        row[threadIdx.x] = x;
        __syncthreads();
        x = row[(threadIdx.x + 1) % blockDim.x];
        __syncthreads();
    }
    out[blockIdx.x * blockDim.x + threadIdx.x] = x;
}

cudaError_t run_rotate(int* out, int blocks, int threads, int count, cudaStream_t stream) {
    return LELKERN_LAUNCH(rotate, blocks, threads, 4 * threads, stream, out, count);
}

}  // namespace

LELKERN_EXPORT(transpose, run_transpose);
LELKERN_EXPORT(block_sum, run_block_sum);
LELKERN_EXPORT(scan, run_scan);
LELKERN_EXPORT(warp_sum_in_shared, run_warp_sum_in_shared);
LELKERN_EXPORT(half_warps, run_half_warps);
LELKERN_EXPORT(compact, run_compact);
LELKERN_EXPORT(histogram, run_histogram);
LELKERN_EXPORT(early_return, run_early_return);
LELKERN_EXPORT(narrow, run_narrow);
LELKERN_EXPORT(block_numbers, run_block_numbers);
LELKERN_EXPORT(through_global, run_through_global);
LELKERN_EXPORT(multiply_bfloat16, run_multiply<__nv_bfloat16>);
LELKERN_EXPORT(multiply_float16, run_multiply<__half>);
LELKERN_EXPORT(transpose_matrices, run_transpose_matrices);
LELKERN_EXPORT(similarities, run_similarities);
LELKERN_EXPORT(rotate, run_rotate);
