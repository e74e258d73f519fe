// Compiles one header for every instruction set that may be chosen at run time.
//
//     #define LELKERN_TILES "cpu/nt_xent_tiles.h"
//     #include "common/foreach_isa.h"
//
// gives lelkern::baseline::..., and on x86-64 also lelkern::avx2::... and lelkern::avx512::....
// The header sees LELKERN_VECTOR_BYTES and the register tile: LELKERN_TILE_ROWS rows of
// LELKERN_TILE_VECTORS vectors, as many accumulators as the register file holds.

#include <cstdint>

#define LELKERN_TILE_VECTORS 2

// x86-64 guarantees 16 registers of 16 bytes, 64-bit Arm has 32 of them.
#define LELKERN_VECTOR_BYTES 16
#if defined(__aarch64__)
#define LELKERN_TILE_ROWS 8
#else
#define LELKERN_TILE_ROWS 4
#endif
namespace lelkern::baseline {
#include "common/simd.h"
#include LELKERN_TILES
}  // namespace lelkern::baseline
#undef LELKERN_VECTOR_BYTES
#undef LELKERN_TILE_ROWS

#if defined(__x86_64__)

#define LELKERN_VECTOR_BYTES 32
#define LELKERN_TILE_ROWS 6
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace lelkern::avx2 {
#include "common/simd.h"
#include LELKERN_TILES
}  // namespace lelkern::avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef LELKERN_VECTOR_BYTES
#undef LELKERN_TILE_ROWS

#define LELKERN_VECTOR_BYTES 64
#define LELKERN_TILE_ROWS 12
#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif
namespace lelkern::avx512 {
#include "common/simd.h"
#include LELKERN_TILES
}  // namespace lelkern::avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef LELKERN_VECTOR_BYTES
#undef LELKERN_TILE_ROWS

#endif

#undef LELKERN_TILE_VECTORS
