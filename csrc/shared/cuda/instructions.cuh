// Instructions of sm_80 and later that C++ has no words for, each wrapped in one small function.
#pragma once

#include <cstdint>

#include "shared/cuda/device.cuh"

namespace lelkern {

// Hides what x is made of from the compiler, which would make it anew at each use in a loop to
// spare a register.
__device__ inline void keep(int& x) { asm volatile("" : "+r"(x)); }

}  // namespace lelkern

#if defined(LELKERN_CUDA_EMULATION)
#include "cuda_emulation_instructions.h"
#else

namespace lelkern {

// 2^x, within 2^-22 of it; 0 where that would be subnormal.
__device__ __forceinline__ float exp2_approximately(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
    return y;
}

// Starts to copy 16 bytes from global to shared memory, both aligned to 16. They are there for this
// thread after cp_async_wait, and for others after a barrier that follows.
__device__ __forceinline__ void cp_async_16(void* to, const void* from) {
    const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(address), "l"(from)
                 : "memory");
}

// Ends a group of copies.
__device__ __forceinline__ void cp_async_commit() {
    asm volatile("cp.async.commit_group;\n" ::: "memory");
}

// Waits until at most `groups` of this thread's latest groups are under way.
template <int groups>
__device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;\n" ::"n"(groups) : "memory");
}

// Four 8 x 8 matrices of 16-bit numbers: lane l gives the address (16 bytes) of row l % 8 of matrix
// l / 8, and gets of matrix m in out[m] the numbers 2 (l % 4) and 2 (l % 4) + 1 of row l / 4.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&out)[4], const void* row) {
    const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
}

// The same, where each matrix is transposed on its way.
__device__ __forceinline__ void ldmatrix_x4_transposed(uint32_t (&out)[4], const void* row) {
    const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(address)
                 : "memory");
}

// c (16 x 8) += a (16 x 16) b (16 x 8) over the lanes of a warp. With g = lane / 4, t = lane % 4
// and pairs of neighbours in k in one register, the lower half the first: a = {(g, 2t), (g + 8,
// 2t), (g, 2t + 8), (g + 8, 2t + 8)}, b = {(2t, g), (2t + 8, g)}, and c = {(g, 2t), (g, 2t + 1), (g
// + 8, 2t), (g + 8, 2t + 1)}.
__device__ __forceinline__ void mma_16816(float (&c)[4], const uint32_t (&a)[4],
                                          const uint32_t (&b)[2], __nv_bfloat16) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ void mma_16816(float (&c)[4], const uint32_t (&a)[4],
                                          const uint32_t (&b)[2], __half) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace lelkern
#endif
