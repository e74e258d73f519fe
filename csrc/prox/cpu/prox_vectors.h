// What all kernels of an instruction set over rows are made of. Included by foreach_isa.h once for
// each set, inside its namespace.

#include "shared/cpu/simd_numbers.h"

#include "shared/cpu/simd_powers.h"

// What numbers of a type are computed in.
template <typename Element>
using Computed = std::conditional_t<std::is_same_v<Element, double>, double, float>;

template <typename T>
inline typename Lanes<T>::Bits sign_bits() {
    return (typename Lanes<T>::Bits)broadcast<T>(-T(0));
}

template <typename T>
inline Vec<T> magnitude(const Vec<T>& x) {
    return (Vec<T>)((typename Lanes<T>::Bits)x & ~sign_bits<T>());
}

// x, which has none, with the sign of another.
template <typename T>
inline Vec<T> with_sign_of(const Vec<T>& x, const Vec<T>& signs) {
    using Bits = typename Lanes<T>::Bits;
    return (Vec<T>)((Bits)x | ((Bits)signs & sign_bits<T>()));
}

// x, or minus x where another is negative.
template <typename T>
inline Vec<T> times_sign_of(const Vec<T>& x, const Vec<T>& signs) {
    using Bits = typename Lanes<T>::Bits;
    return (Vec<T>)((Bits)x ^ ((Bits)signs & sign_bits<T>()));
}

template <typename T>
inline Vec<T> square_root(const Vec<T>& x) {
#if defined(LELKERN_HAS_AVX512)
    if constexpr (std::is_same_v<T, float>) {
        return (Vec<T>)_mm512_maskz_sqrt_ps(0xffff, (__m512)x);
    } else {
        return (Vec<T>)_mm512_maskz_sqrt_pd(0xff, (__m512d)x);
    }
#elif defined(__x86_64__) && LELKERN_VECTOR_BYTES == 32
    if constexpr (std::is_same_v<T, float>) {
        return (Vec<T>)_mm256_sqrt_ps((__m256)x);
    } else {
        return (Vec<T>)_mm256_sqrt_pd((__m256d)x);
    }
#elif defined(__x86_64__)
    if constexpr (std::is_same_v<T, float>) {
        return (Vec<T>)_mm_sqrt_ps((__m128)x);
    } else {
        return (Vec<T>)_mm_sqrt_pd((__m128d)x);
    }
#else
    Vec<T> roots;
    for (int i = 0; i < Lanes<T>::count; ++i) roots[i] = std::sqrt(x[i]);
    return roots;
#endif
}

template <typename T>
inline bool any_lane(const typename Lanes<T>::Int& condition) {
    bool any = false;
    for (int i = 0; i < Lanes<T>::count; ++i) any |= condition[i] != 0;
    return any;
}

// A vector of T, rounded, as numbers of a type.
template <typename T, typename Element>
inline void write_rounded(Element* to, const Vec<T>& value) {
    constexpr int lanes = Lanes<T>::count;
    if constexpr (std::is_same_v<T, double> && !std::is_same_v<Element, double>) {
        write<float, Element, lanes, false>(to, converted<float, lanes>(value), nullptr);
    } else {
        write<T, Element, lanes, false>(to, value, nullptr);
    }
}

template <typename T, typename Element>
inline void write_some_rounded(Element* to, const Vec<T>& value, int64_t count) {
    if constexpr (std::is_same_v<T, double> && !std::is_same_v<Element, double>) {
        Element numbers[Lanes<T>::count];
        write_rounded<T>(numbers, value);
        std::copy_n(numbers, count, to);
    } else {
        write_some<T>(to, value, count);
    }
}

// Calls f(i, numbers from i on) for n numbers, a vector at a time; zeros fill up the last one.
template <typename T, typename Element, typename F>
inline void for_each_vector(const Element* from, int64_t n, const F& f) {
    constexpr int lanes = Lanes<T>::count;
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) f(i, read<T, Element, lanes>(from + i));
    if (i < n) f(i, read_some<T>(from + i, n - i));
}

// Numbers that vectors of T sum up before a double takes over: an error grows with their number.
constexpr int64_t kSummed = 1024;

// Squares of floats that are added up in float before a double takes over.
constexpr int kSummedInFloat = 4;

inline void add_in_double(const Vec<double>& x, Vec<double> (&sums)[1]) { sums[0] += x; }

inline void add_in_double(const Vec<float>& x, Vec<double> (&sums)[2]) {
    constexpr int n = Lanes<double>::count;
    typename Several<float, n>::Type halves[2];
    __builtin_memcpy(halves, &x, sizeof(x));
    for (int k = 0; k < 2; ++k) sums[k] += converted<double, n>(halves[k]);
}

// Half of the lanes to the other half, so that few additions wait for each other.
template <typename T, int n = Lanes<T>::count>
inline T sum_by_halves(const typename Several<T, n>::Type& value) {
    if constexpr (n == 2) {
        return value[0] + value[1];
    } else {
        typename Several<T, n / 2>::Type halves[2];
        __builtin_memcpy(halves, &value, sizeof(value));
        return sum_by_halves<T, n / 2>(halves[0] + halves[1]);
    }
}

// Adds x where it is positive to the first sum, and 1 to the second.
template <typename T>
inline void add_positive(const Vec<T>& x, Vec<T> (&sums)[2]) {
    const Vec<T> one = broadcast<T>(1);
#if defined(LELKERN_HAS_AVX512)
    // Under a mask, where GCC makes a move and an addition of each.
    if constexpr (std::is_same_v<T, float>) {
        const __mmask16 where = _mm512_cmp_ps_mask((__m512)x, (__m512)Vec<T>{}, _CMP_GT_OQ);
        sums[0] = (Vec<T>)_mm512_mask_add_ps((__m512)sums[0], where, (__m512)sums[0], (__m512)x);
        sums[1] = (Vec<T>)_mm512_mask_add_ps((__m512)sums[1], where, (__m512)sums[1], (__m512)one);
    } else {
        const __mmask8 where = _mm512_cmp_pd_mask((__m512d)x, (__m512d)Vec<T>{}, _CMP_GT_OQ);
        sums[0] = (Vec<T>)_mm512_mask_add_pd((__m512d)sums[0], where, (__m512d)sums[0], (__m512d)x);
        sums[1] =
            (Vec<T>)_mm512_mask_add_pd((__m512d)sums[1], where, (__m512d)sums[1], (__m512d)one);
    }
#else
    const Vec<T> zero{};
    sums[0] += x > zero ? x : zero;
    sums[1] += x > zero ? one : zero;
#endif
}

template <int count>
struct Sums {
    double of[count] = {};
};

// Sums over n numbers: f(i, numbers from i on, parts) adds to each part, and nothing for the zeros
// that fill up the last vector.
template <typename T, int count, typename Element, typename F>
inline Sums<count> sums_of(const Element* from, int64_t n, const F& f) {
    constexpr int lanes = Lanes<T>::count, ways = count > 1 ? 2 : 4, step = ways * lanes;
    Sums<count> total;
    Vec<T> parts[ways][count];
    const auto clear = [&] {
        for (auto& way : parts) {
            for (Vec<T>& part : way) part = Vec<T>{};
        }
    };
    const auto flush = [&] {
        for (int k = 0; k < count; ++k) {
            for (int way = 1; way < ways; ++way) parts[0][k] += parts[way][k];
            total.of[k] += static_cast<double>(sum_by_halves<T>(parts[0][k]));
        }
    };
    int64_t i = 0;
    while (i + step <= n) {
        clear();
        const int64_t end = std::min(n, i + kSummed);
        for (; i + step <= end; i += step) {
#pragma GCC unroll 4
            for (int way = 0; way < ways; ++way) {
                const int64_t at = i + way * lanes;
                f(at, read<T, Element, lanes>(from + at), parts[way]);
            }
        }
        flush();
    }
    if (i == n) return total;
    clear();
    for_each_vector<T>(from + i, n - i, [&](int64_t k, const Vec<T>& x) { f(i + k, x, parts[0]); });
    flush();
    return total;
}

// Numbers before the first that is aligned as a vector.
template <typename Element>
inline int64_t unaligned(const Element* to, int64_t n) {
    const auto past = reinterpret_cast<uintptr_t>(to) % LELKERN_VECTOR_BYTES;
    const auto missing = past == 0 ? 0 : (LELKERN_VECTOR_BYTES - past) / sizeof(Element);
    return std::min(n, static_cast<int64_t>(missing));
}

// to = f(i, from), a vector at a time.
template <typename T, typename To, typename From, typename F>
inline void transform(const From* from, int64_t n, const Results& results, const F& f) {
    constexpr int lanes = Lanes<T>::count;
    To* const to = static_cast<To*>(results.to);
    int64_t i = 0;
    if constexpr (std::is_same_v<To, T>) {
        if (results.past_cache) {
            i = unaligned(to, n);
            if (i > 0) write_some_rounded<T>(to, f(0, read_some<T>(from, i)), i);
            for (; i + lanes <= n; i += lanes) {
                store_past_cache<T>(to + i, f(i, read<T, From, lanes>(from + i)));
            }
        }
    }
    for (; i + lanes <= n; i += lanes) {
        write_rounded<T>(to + i, f(i, read<T, From, lanes>(from + i)));
    }
    if (i < n) write_some_rounded<T>(to + i, f(i, read_some<T>(from + i, n - i)), n - i);
}

// Numbers of another type, computed in T.
template <typename T, typename To, typename From>
inline void convert(const From* from, int64_t n, const Results& results) {
    transform<T, To>(from, n, results, [](int64_t, const Vec<T>& x) { return x; });
}

template <typename T, typename To>
inline void fill(T value, int64_t n, const Results& results) {
    To* const to = static_cast<To*>(results.to);
    std::fill_n(to, n, static_cast<To>(value));
}

// A power of 2 by which numbers are multiplied so that the largest is between 1/2 and 4: in two
// steps, for the smallest numbers there are.
template <typename T>
struct PowerOfTwo {
    // The largest is a number times 2^extra.
    explicit PowerOfTwo(double largest, int extra = 0) {
        std::frexp(largest, &exponent);
        exponent += extra;
        constexpr int most = std::numeric_limits<T>::max_exponent - 2;
        exponent = std::min(exponent, most);
        const int first = std::min(-exponent, most);
        up[0] = static_cast<T>(std::ldexp(1.0, first));
        up[1] = static_cast<T>(std::ldexp(1.0, -exponent - first));
        down[0] = static_cast<T>(std::ldexp(1.0, -first));
        down[1] = static_cast<T>(std::ldexp(1.0, exponent + first));
    }

    Vec<T> raised(const Vec<T>& x) const { return x * up[0] * up[1]; }
    Vec<T> lowered(const Vec<T>& x) const { return x * down[1] * down[0]; }

    int exponent;  // of what they are divided by
    T up[2], down[2];
};
