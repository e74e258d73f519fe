// Kernels with one fault each, which a detector must name. The line that is at fault ends with the
// comment FAULT and the kernel's name, so that tests find it.
#include <cstdint>

#include "cuda_emulation_export.h"
#include "shared/cuda/instructions.cuh"

namespace {

constexpr int kThreads = 64;

__constant__ const float kTable[2] = {1, 2};

// The neighbour's number may not be there yet.
__global__ void missing_barrier(const float* in, float* out) {
    __shared__ float row[kThreads];
    row[threadIdx.x] = in[threadIdx.x];
    out[threadIdx.x] = row[(threadIdx.x + 1) % kThreads];  // FAULT missing_barrier
}

// The next round's writes may come before this round's reads.
__global__ void missing_second_barrier(const float* in, float* out) {
    __shared__ float row[kThreads];
    float total = 0;
    for (int i = 0; i < 3; ++i) {
        row[threadIdx.x] = in[threadIdx.x] + i;  // FAULT missing_second_barrier
        __syncthreads();
        total += row[kThreads - 1 - threadIdx.x];  // FAULT missing_second_barrier
    }
    out[threadIdx.x] = total;
}

__global__ void global_read_past_end(const float* in, float* out) {
    out[threadIdx.x] = in[threadIdx.x + 1];  // FAULT global_read_past_end
}

__global__ void hinted_read_past_end(const float* in, float* out) {
    out[threadIdx.x] = __ldg(in + threadIdx.x + 1);  // FAULT hinted_read_past_end
}

__global__ void global_read_before_begin(const float* in, float* out) {
    out[threadIdx.x] = in[static_cast<int>(threadIdx.x) - 1];  // FAULT global_read_before_begin
}

__global__ void global_write_past_end(const float* in, float* out) {
    out[threadIdx.x + 1] = in[threadIdx.x];  // FAULT global_write_past_end
}

__global__ void write_to_constant(const float* in, float* out) {
    out[0] = 0;
    const_cast<volatile float*>(kTable)[threadIdx.x % 2] = in[0];  // FAULT write_to_constant
}

// As many numbers of dynamic shared memory as threads.
__global__ void dynamic_shared_past_end(const float* in, float* out) {
    LELKERN_DYNAMIC_SHARED(float, row);
    row[threadIdx.x + 1] = in[threadIdx.x];  // FAULT dynamic_shared_past_end
    __syncthreads();
    out[threadIdx.x] = row[threadIdx.x];
}

// Within shared memory, but not within the row.
__global__ void shared_index_past_row(const float* in, float* out) {
    __shared__ float tile[4][kThreads];
    for (int i = 0; i < 4; ++i) tile[i][threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = tile[1][threadIdx.x + 1];  // FAULT shared_index_past_row
}

__global__ void uninitialized_shared(const float* in, float* out) {
    __shared__ float row[kThreads];
    if (threadIdx.x > 0) row[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = row[threadIdx.x];  // FAULT uninitialized_shared
}

// Shuffles do not order memory, so lanes need a __syncwarp here.
__global__ void missing_syncwarp(const float* in, float* out) {
    __shared__ float row[kThreads];
    row[threadIdx.x] = in[threadIdx.x];
    const float next = __shfl_down_sync(0xffffffff, row[threadIdx.x], 1);
    out[threadIdx.x] = next + row[threadIdx.x ^ 1];  // FAULT missing_syncwarp
}

// A __syncwarp orders the lanes of one warp only.
__global__ void syncwarp_for_block(const float* in, float* out) {
    __shared__ float row[kThreads];
    row[threadIdx.x] = in[threadIdx.x];
    __syncwarp();
    out[threadIdx.x] = row[kThreads - 1 - threadIdx.x];  // FAULT syncwarp_for_block
}

// The halves of a warp meet among themselves, then read each other's numbers.
__global__ void syncwarp_of_halves(const float* in, float* out) {
    __shared__ float row[kThreads];
    row[threadIdx.x] = in[threadIdx.x];
    __syncwarp(threadIdx.x % 32 < 16 ? 0x0000ffff : 0xffff0000);
    out[threadIdx.x] = row[threadIdx.x ^ 16];  // FAULT syncwarp_of_halves
}

__global__ void plain_accumulation(const float* in, float* out) {
    out[0] += in[threadIdx.x];  // FAULT plain_accumulation
}

__global__ void plain_beside_atomic(const float* in, float* out) {
    if (threadIdx.x == 40) out[0] = 1;  // FAULT plain_beside_atomic
    atomicAdd(out, in[threadIdx.x]);    // FAULT plain_beside_atomic
}

// With two blocks, both write the first number.
__global__ void blocks_write_same(const float* in, float* out) {
    if (threadIdx.x == 0) out[0] = in[blockIdx.x];  // FAULT blocks_write_same
}

// A block reads what its neighbour writes.
__global__ void block_reads_neighbour(const float* in, float* out) {
    const int i = blockIdx.x * blockDim.x / 2 + threadIdx.x / 2;
    if (threadIdx.x % 2 == 0) out[i] = in[i];  // FAULT block_reads_neighbour
    __syncthreads();
    if (i + 1 < kThreads && out[i + 1] > 5) out[i] = 5;  // FAULT block_reads_neighbour
}

__global__ void divergent_barrier(const float* in, float* out) {
    out[threadIdx.x] = in[threadIdx.x];
    if (threadIdx.x < 32) {
        __syncthreads();  // FAULT divergent_barrier
    } else {
        __syncthreads();  // FAULT divergent_barrier
    }
}

// Half of a warp waits for the block, the other half for the warp.
__global__ void barrier_against_shuffle(const float* in, float* out) {
    float x = in[threadIdx.x];
    if (threadIdx.x < 16) {
        __syncthreads();  // FAULT barrier_against_shuffle
    } else {
        x = __shfl_xor_sync(0xffffffff, x, 1);  // FAULT barrier_against_shuffle
    }
    out[threadIdx.x] = x;
}

__global__ void mask_leaves_out_itself(const float* in, float* out) {
    out[threadIdx.x] =
        __shfl_xor_sync(0x0000ffff, in[threadIdx.x], 1);  // FAULT mask_leaves_out_itself
}

__global__ void mask_names_absent_lanes(const float* in, float* out) {
    float x = in[threadIdx.x];
    if (threadIdx.x % 32 < 16)
        x = __shfl_xor_sync(0xffffffff, x, 1);  // FAULT mask_names_absent_lanes
    __syncthreads();                            // FAULT mask_names_absent_lanes
    out[threadIdx.x] = x;
}

__global__ void masks_differ(const float* in, float* out) {
    const unsigned mask = threadIdx.x % 2 == 0 ? 0xffffffff : 0x7fffffff;
    out[threadIdx.x] = __shfl_xor_sync(mask, in[threadIdx.x], 1);  // FAULT masks_differ
}

__global__ void shuffle_from_outside(const float* in, float* out) {
    float x = in[threadIdx.x];
    if (threadIdx.x % 32 < 16)
        x = __shfl_down_sync(0x0000ffff, x, 8);  // FAULT shuffle_from_outside
    out[threadIdx.x] = x;
}

__global__ void shuffles_at_two_lines(const float* in, float* out) {
    float x = in[threadIdx.x];
    if (threadIdx.x % 2 == 0) {
        x = __shfl_xor_sync(0xffffffff, x, 1);  // FAULT shuffles_at_two_lines
    } else {
        x = __shfl_xor_sync(0xffffffff, x, 1);  // FAULT shuffles_at_two_lines
    }
    out[threadIdx.x] = x;
}

__global__ void copy_not_waited_for(const float* in, float* out) {
    __shared__ __align__(16) float row[4 * kThreads];
    lelkern::cp_async_16(row + 4 * threadIdx.x, in);
    lelkern::cp_async_commit();
    out[threadIdx.x] = row[4 * threadIdx.x];  // FAULT copy_not_waited_for
}

// Waits until at most one group is under way: the second one.
__global__ void copy_waits_for_too_little(const float* in, float* out) {
    __shared__ __align__(16) float row[2][4 * kThreads];
    for (int i = 0; i < 2; ++i) {
        lelkern::cp_async_16(row[i] + 4 * threadIdx.x, in);
        lelkern::cp_async_commit();
    }
    lelkern::cp_async_wait<1>();
    out[threadIdx.x] =
        row[0][4 * threadIdx.x] + row[1][4 * threadIdx.x];  // FAULT copy_waits_for_too_little
}

// What a thread waited for, others see after a barrier only.
__global__ void copy_without_barrier(const float* in, float* out) {
    __shared__ __align__(16) float row[4 * kThreads];
    lelkern::cp_async_16(row + 4 * threadIdx.x, in);
    lelkern::cp_async_commit();
    lelkern::cp_async_wait<0>();
    out[threadIdx.x] = row[(4 * threadIdx.x + 4) % (4 * kThreads)];  // FAULT copy_without_barrier
}

__global__ void copy_misaligned(const float* in, float* out) {
    __shared__ __align__(16) float row[4 * kThreads];
    const float* const from = in + threadIdx.x % 4;
    lelkern::cp_async_16(row + 4 * threadIdx.x, from);  // FAULT copy_misaligned
    out[threadIdx.x] = in[threadIdx.x];
}

__global__ void vector_load_misaligned(const float* in, float* out) {
    if (threadIdx.x > 1) return;
    const float4 four =
        reinterpret_cast<const float4*>(in + threadIdx.x)[0];  // FAULT vector_load_misaligned
    out[threadIdx.x] = four.x + four.y + four.z + four.w;
}

__global__ void mma_in_half_a_warp(const float* in, float* out) {
    float c[4] = {in[threadIdx.x], 0, 0, 0};
    const uint32_t a[4] = {}, b[2] = {};
    if (threadIdx.x < 16) {
        lelkern::mma_16816(c, a, b, __nv_bfloat16());  // FAULT mma_in_half_a_warp
    }
    out[threadIdx.x] = c[0];
}

// Each lane names a row that it wrote itself, but the lanes read each other's.
__global__ void ldmatrix_without_syncwarp(const float* in, float* out) {
    __shared__ __align__(16) float rows[kThreads][4];
    for (int i = 0; i < 4; ++i) rows[threadIdx.x][i] = in[threadIdx.x];
    uint32_t pairs[4];
    lelkern::ldmatrix_x4(pairs, rows[threadIdx.x]);  // FAULT ldmatrix_without_syncwarp
    out[threadIdx.x] = static_cast<float>(pairs[0]);
}

// Two bytes beside each other belong to two threads, but one of them writes both.
__global__ void write_too_wide(const float* in, float* out) {
    __shared__ uint16_t row[2 * kThreads];
    row[threadIdx.x] = 0;  // FAULT write_too_wide
    if (threadIdx.x % 2 == 1) {
        *reinterpret_cast<uint32_t*>(row + threadIdx.x - 1) = 1;  // FAULT write_too_wide
    }
    __syncthreads();
    out[threadIdx.x] = row[threadIdx.x] + in[threadIdx.x];
}

}  // namespace

// One launch each, so that reports give the kernel's name.
#define BROKEN(kernel)                                                                  \
    static cudaError_t run_##kernel(const float* in, float* out, int blocks,            \
                                    cudaStream_t stream) {                              \
        return LELKERN_LAUNCH(kernel, blocks, kThreads, kThreads * 4, stream, in, out); \
    }                                                                                   \
    LELKERN_EXPORT(kernel, run_##kernel)

BROKEN(missing_barrier);
BROKEN(missing_second_barrier);
BROKEN(global_read_past_end);
BROKEN(hinted_read_past_end);
BROKEN(global_read_before_begin);
BROKEN(global_write_past_end);
BROKEN(write_to_constant);
BROKEN(dynamic_shared_past_end);
BROKEN(shared_index_past_row);
BROKEN(uninitialized_shared);
BROKEN(missing_syncwarp);
BROKEN(syncwarp_for_block);
BROKEN(syncwarp_of_halves);
BROKEN(plain_accumulation);
BROKEN(plain_beside_atomic);
BROKEN(blocks_write_same);
BROKEN(block_reads_neighbour);
BROKEN(divergent_barrier);
BROKEN(barrier_against_shuffle);
BROKEN(mask_leaves_out_itself);
BROKEN(mask_names_absent_lanes);
BROKEN(masks_differ);
BROKEN(shuffle_from_outside);
BROKEN(shuffles_at_two_lines);
BROKEN(copy_not_waited_for);
BROKEN(copy_waits_for_too_little);
BROKEN(copy_without_barrier);
BROKEN(copy_misaligned);
BROKEN(vector_load_misaligned);
BROKEN(mma_in_half_a_warp);
BROKEN(ldmatrix_without_syncwarp);
BROKEN(write_too_wide);
