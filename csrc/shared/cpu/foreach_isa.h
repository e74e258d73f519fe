// Compiles one header of a family for every instruction set that may be chosen at run time.
//
//     #define LELKERN_ISA_FAMILY contrastive
//     #define LELKERN_ISA_HEADER "contrastive/cpu/contrastive_tiles.h"
//     #include "shared/cpu/foreach_isa.h"
//
// gives lelkern::contrastive::baseline::..., and on x86-64 also avx2, avx512 and avx512_bf16 beside
// it: each family has vectors of its own, so that none meets those of another. The header comes
// after simd.h and sees LELKERN_VECTOR_BYTES; LELKERN_HAS_AVX512 and LELKERN_HAS_BF16 say which
// intrinsics may be used beyond the portable vectors. Without LELKERN_COMPILES_AVX512, which
// cpu_isa.h decides, there are the first two. A build for machines with AVX2 alone need not wait
// for the baseline either: with LELKERN_WITHOUT_BASELINE avx2 stands for it.

#include <cstdint>

#include "shared/cpu/cpu_isa.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if !defined(LELKERN_WITHOUT_BASELINE)

#define LELKERN_VECTOR_BYTES 16
namespace lelkern::LELKERN_ISA_FAMILY::baseline {
#include "shared/cpu/simd.h"

#include LELKERN_ISA_HEADER
}  // namespace lelkern::LELKERN_ISA_FAMILY::baseline
#undef LELKERN_VECTOR_BYTES

#endif

#if defined(__x86_64__)

#define LELKERN_VECTOR_BYTES 32
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif
namespace lelkern::LELKERN_ISA_FAMILY::avx2 {
#include "shared/cpu/simd.h"

#include LELKERN_ISA_HEADER
}  // namespace lelkern::LELKERN_ISA_FAMILY::avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef LELKERN_VECTOR_BYTES

#if defined(LELKERN_WITHOUT_BASELINE)
namespace lelkern::LELKERN_ISA_FAMILY {
namespace baseline = avx2;
}  // namespace lelkern::LELKERN_ISA_FAMILY
#endif

#endif
#if defined(LELKERN_COMPILES_AVX512)

#define LELKERN_VECTOR_BYTES 64
#define LELKERN_HAS_AVX512
#if defined(__clang__)
#pragma clang attribute push(                                                    \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#endif
namespace lelkern::LELKERN_ISA_FAMILY::avx512 {
#include "shared/cpu/simd.h"

#include LELKERN_ISA_HEADER
}  // namespace lelkern::LELKERN_ISA_FAMILY::avx512

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
namespace lelkern::LELKERN_ISA_FAMILY::avx512_bf16 {
#include "shared/cpu/simd.h"

#include LELKERN_ISA_HEADER
}  // namespace lelkern::LELKERN_ISA_FAMILY::avx512_bf16
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef LELKERN_VECTOR_BYTES
#undef LELKERN_HAS_AVX512
#undef LELKERN_HAS_BF16

#endif
