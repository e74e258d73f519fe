// Compiles one header for every instruction set that may be chosen at run time.
//
//     #define LELKERN_FOREACH_ISA "contrastive/cpu/contrastive_tiles.h"
//     #include "shared/cpu/foreach_isa.h"
//
// gives lelkern::baseline::..., and on x86-64 also lelkern::avx2::..., lelkern::avx512::... and
// lelkern::avx512_bf16::.... The header sees LELKERN_VECTOR_BYTES and the register tile:
// LELKERN_TILE_ROWS rows of LELKERN_TILE_VECTORS vectors, as many accumulators as the register file
// holds besides the operands. The rows divide the lanes of the vectors together, since both
// operands of a product of rows with rows are packed alike. LELKERN_HAS_AVX512 and LELKERN_HAS_BF16
// say which intrinsics may be used beyond the portable vectors.

#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// x86-64 guarantees 16 registers of 16 bytes, 64-bit Arm has 32 of them.
#define LELKERN_VECTOR_BYTES 16
#define LELKERN_TILE_ROWS 4
#if defined(__aarch64__)
#define LELKERN_TILE_VECTORS 4
#else
#define LELKERN_TILE_VECTORS 2
#endif
namespace lelkern::baseline {
#include "shared/cpu/simd.h"

#include LELKERN_FOREACH_ISA
}  // namespace lelkern::baseline
#undef LELKERN_VECTOR_BYTES
#undef LELKERN_TILE_ROWS
#undef LELKERN_TILE_VECTORS

#if defined(__x86_64__)

#define LELKERN_VECTOR_BYTES 32
#define LELKERN_TILE_ROWS 4
#define LELKERN_TILE_VECTORS 3
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif
namespace lelkern::avx2 {
#include "shared/cpu/simd.h"

#include LELKERN_FOREACH_ISA
}  // namespace lelkern::avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef LELKERN_VECTOR_BYTES
#undef LELKERN_TILE_ROWS

#define LELKERN_VECTOR_BYTES 64
#define LELKERN_TILE_ROWS 8
#define LELKERN_HAS_AVX512
#if defined(__clang__)
#pragma clang attribute push(                                                    \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#endif
namespace lelkern::avx512 {
#include "shared/cpu/simd.h"

#include LELKERN_FOREACH_ISA
}  // namespace lelkern::avx512

#define LELKERN_HAS_BF16
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(                                                               \
    __attribute__((target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
    apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#endif
namespace lelkern::avx512_bf16 {
#include "shared/cpu/simd.h"

#include LELKERN_FOREACH_ISA
}  // namespace lelkern::avx512_bf16
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef LELKERN_VECTOR_BYTES
#undef LELKERN_TILE_ROWS
#undef LELKERN_TILE_VECTORS
#undef LELKERN_HAS_AVX512
#undef LELKERN_HAS_BF16

#endif
