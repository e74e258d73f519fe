// Instructions of sm_80 and later: see csrc/shared/cuda/instructions.cuh for what they do.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda_emulation.h"

namespace lelkern::emulation {

void cp_async_16(void* to, const void* from);
void cp_async_commit();
void cp_async_wait(int groups, Site site);
void ldmatrix_x4(uint32_t (&out)[4], const void* row, bool transposed, Site site);

// The products are exact in float32; they are added one by one, k ascending, to what c holds, and
// each sum is rounded to float32. A GPU adds in an order of its own.
template <typename T>
void mma_16816(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Site site);

}  // namespace lelkern::emulation

namespace lelkern {

inline float exp2_approximately(float x) {
    const float y = std::exp2(x);
    return y < 0x1p-126f ? 0 : y;
}

inline void cp_async_16(void* to, const void* from) { emulation::cp_async_16(to, from); }

inline void cp_async_commit() { emulation::cp_async_commit(); }

template <int groups>
void cp_async_wait(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    emulation::cp_async_wait(groups, {file, line});
}

inline void ldmatrix_x4(uint32_t (&out)[4], const void* row, const char* file = __builtin_FILE(),
                        int line = __builtin_LINE()) {
    emulation::ldmatrix_x4(out, row, false, {file, line});
}

inline void ldmatrix_x4_transposed(uint32_t (&out)[4], const void* row,
                                   const char* file = __builtin_FILE(),
                                   int line = __builtin_LINE()) {
    emulation::ldmatrix_x4(out, row, true, {file, line});
}

inline void mma_16816(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], __nv_bfloat16,
                      const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    emulation::mma_16816<__nv_bfloat16>(c, a, b, {file, line});
}

inline void mma_16816(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], __half,
                      const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    emulation::mma_16816<__half>(c, a, b, {file, line});
}

}  // namespace lelkern
