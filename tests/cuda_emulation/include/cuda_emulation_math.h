// CUDA's functions on numbers that the C++ library has not. Approximate ones are exact here: a test
// that needs their error must allow for it in its tolerance.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

// The C library declares some of these names for itself, so they are macros.
#define __expf(x) ::expf(x)
#define __exp2f(x) ::exp2f(x)
#define __exp10f(x) ::powf(10.0f, x)
#define __logf(x) ::logf(x)
#define __log2f(x) ::log2f(x)
#define __log10f(x) ::log10f(x)
#define __sinf(x) ::sinf(x)
#define __cosf(x) ::cosf(x)
#define __tanf(x) ::tanf(x)
#define __powf(x, y) ::powf(x, y)

namespace lelkern::emulation {
// A product that the compiler cannot fuse with an addition.
template <typename T>
T rounded_product(T x, T y) {
    T product = x * y;
#if defined(__x86_64__)
    asm("" : "+x"(product));
#else
    asm("" : "+w"(product));
#endif
    return product;
}
}  // namespace lelkern::emulation

inline float __fdividef(float x, float y) { return x / y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return ::lelkern::emulation::rounded_product(x, y); }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dsub_rn(double x, double y) { return x - y; }
inline double __dmul_rn(double x, double y) { return ::lelkern::emulation::rounded_product(x, y); }
inline float __fmaf_rn(float x, float y, float z) { return ::fmaf(x, y, z); }
inline double __fma_rn(double x, double y, double z) { return ::fma(x, y, z); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return ::sqrtf(x); }
inline float __frsqrt_rn(float x) { return 1.0f / ::sqrtf(x); }
inline float rsqrtf(float x) { return 1.0f / ::sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / ::sqrt(x); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }

namespace lelkern::emulation {
template <typename To, typename From>
To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    __builtin_memcpy(&to, &from, sizeof(To));
    return to;
}
}  // namespace lelkern::emulation

inline int __float_as_int(float x) { return ::lelkern::emulation::bits_as<int>(x); }
inline unsigned __float_as_uint(float x) { return ::lelkern::emulation::bits_as<unsigned>(x); }
inline float __int_as_float(int x) { return ::lelkern::emulation::bits_as<float>(x); }
inline float __uint_as_float(unsigned x) { return ::lelkern::emulation::bits_as<float>(x); }
inline long long __double_as_longlong(double x) {
    return ::lelkern::emulation::bits_as<long long>(x);
}
inline double __longlong_as_double(long long x) { return ::lelkern::emulation::bits_as<double>(x); }

inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline int __float2int_rn(float x) { return static_cast<int>(::rintf(x)); }
inline int __float2int_rz(float x) { return static_cast<int>(x); }
inline int __float2int_rd(float x) { return static_cast<int>(::floorf(x)); }
inline int __float2int_ru(float x) { return static_cast<int>(::ceilf(x)); }
inline unsigned __float2uint_rn(float x) { return static_cast<unsigned>(::rintf(x)); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __clzll(long long x) {
    return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x));
}
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
    unsigned out = 0;
    for (int i = 0; i < 32; ++i) out |= (x >> i & 1) << (31 - i);
    return out;
}
inline unsigned __umulhi(unsigned x, unsigned y) {
    return static_cast<unsigned>(static_cast<uint64_t>(x) * y >> 32);
}
inline int __mulhi(int x, int y) { return static_cast<int>(static_cast<int64_t>(x) * y >> 32); }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
    return static_cast<unsigned long long>(static_cast<unsigned __int128>(x) * y >> 64);
}

#define LELKERN_EMULATION_MIN_MAX(type)                          \
    constexpr type min(type x, type y) { return y < x ? y : x; } \
    constexpr type max(type x, type y) { return x < y ? y : x; }
LELKERN_EMULATION_MIN_MAX(int)
LELKERN_EMULATION_MIN_MAX(unsigned)
LELKERN_EMULATION_MIN_MAX(long)
LELKERN_EMULATION_MIN_MAX(unsigned long)
LELKERN_EMULATION_MIN_MAX(long long)
LELKERN_EMULATION_MIN_MAX(unsigned long long)
#undef LELKERN_EMULATION_MIN_MAX
// Of a number and NaN, CUDA's give the number.
inline float min(float x, float y) { return ::fminf(x, y); }
inline float max(float x, float y) { return ::fmaxf(x, y); }
inline double min(double x, double y) { return ::fmin(x, y); }
inline double max(double x, double y) { return ::fmax(x, y); }

// Loads and stores with a hint for the caches; inline, so that reports name the caller's line.
#define LELKERN_EMULATION_LOAD(name)                                 \
    template <typename T>                                            \
    __attribute__((always_inline)) inline T name(const T* address) { \
        return *address;                                             \
    }
LELKERN_EMULATION_LOAD(__ldg)
LELKERN_EMULATION_LOAD(__ldcg)
LELKERN_EMULATION_LOAD(__ldca)
LELKERN_EMULATION_LOAD(__ldcs)
LELKERN_EMULATION_LOAD(__ldlu)
#undef LELKERN_EMULATION_LOAD
#define LELKERN_EMULATION_STORE(name)                                      \
    template <typename T>                                                  \
    __attribute__((always_inline)) inline void name(T* address, T value) { \
        *address = value;                                                  \
    }
LELKERN_EMULATION_STORE(__stcg)
LELKERN_EMULATION_STORE(__stcs)
LELKERN_EMULATION_STORE(__stwb)
LELKERN_EMULATION_STORE(__stwt)
#undef LELKERN_EMULATION_STORE
