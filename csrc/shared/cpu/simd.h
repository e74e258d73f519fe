// Vectors of LELKERN_VECTOR_BYTES bytes, through the vector extensions that GCC and Clang share.
//
// Included by foreach_isa.h once for each instruction set, inside that set's namespace: it has no
// include guard and includes nothing.

template <typename T>
struct Lanes;

template <>
struct Lanes<float> {
    typedef float Vec __attribute__((vector_size(LELKERN_VECTOR_BYTES)));
    typedef float Loose __attribute__((vector_size(LELKERN_VECTOR_BYTES), aligned(4), may_alias));
    typedef int32_t Int __attribute__((vector_size(LELKERN_VECTOR_BYTES)));
    typedef int32_t LooseInt
        __attribute__((vector_size(LELKERN_VECTOR_BYTES), aligned(4), may_alias));
    typedef uint32_t Bits __attribute__((vector_size(LELKERN_VECTOR_BYTES)));
    static constexpr int count = LELKERN_VECTOR_BYTES / sizeof(float);

    static constexpr float round_magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    static constexpr int mantissa_bits = 23, exponent_bias = 127;
    static constexpr float exp2_lowest = -126;  // below, 2^x is not a normal number
    // The polynomial of degree 6 nearest to 2^r in |r| <= 1/2: 1.6e-8 relative, a quarter of the
    // rounding error of its last step.
    static constexpr int exp2_degree = 6;
    static constexpr float exp2_coefficients[] = {1.0f,
                                                  0.6931471824645996f,
                                                  0.24022646248340607f,
                                                  0.05550328642129898f,
                                                  0.009618489071726799f,
                                                  0.0013399930903688073f,
                                                  0.0001534581242594868f};
};

template <>
struct Lanes<double> {
    typedef double Vec __attribute__((vector_size(LELKERN_VECTOR_BYTES)));
    typedef double Loose __attribute__((vector_size(LELKERN_VECTOR_BYTES), aligned(8), may_alias));
    typedef int64_t Int __attribute__((vector_size(LELKERN_VECTOR_BYTES)));
    typedef int64_t LooseInt
        __attribute__((vector_size(LELKERN_VECTOR_BYTES), aligned(8), may_alias));
    typedef uint64_t Bits __attribute__((vector_size(LELKERN_VECTOR_BYTES)));
    static constexpr int count = LELKERN_VECTOR_BYTES / sizeof(double);

    static constexpr double round_magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr int mantissa_bits = 52, exponent_bias = 1023;
    static constexpr double exp2_lowest = -1022;
    // Taylor's (ln 2)^k / k!: 4e-18 relative in |r| <= 1/2.
    static constexpr int exp2_degree = 13;
    static constexpr double exp2_coefficients[] = {1.0,
                                                   0.6931471805599453,
                                                   0.2402265069591007,
                                                   0.05550410866482158,
                                                   0.009618129107628477,
                                                   0.0013333558146428443,
                                                   0.00015403530393381608,
                                                   1.5252733804059841e-05,
                                                   1.3215486790144307e-06,
                                                   1.0178086009239699e-07,
                                                   7.054911620801122e-09,
                                                   4.4455382718708116e-10,
                                                   2.5678435993488206e-11,
                                                   1.3691488853904128e-12};
};

template <typename T>
using Vec = typename Lanes<T>::Vec;

template <typename T>
inline Vec<T> load(const T* from) {
    return *reinterpret_cast<const typename Lanes<T>::Loose*>(from);
}

// Whole numbers as wide as T.
template <typename T>
inline typename Lanes<T>::Int load_codes(const void* from) {
    return *static_cast<const typename Lanes<T>::LooseInt*>(from);
}

template <typename T>
inline void store(T* to, const Vec<T>& value) {
    *reinterpret_cast<typename Lanes<T>::Loose*>(to) = value;
}

template <typename T>
inline Vec<T> broadcast(T value) {
    return value - Vec<T>{};
}

// A NaN in a stays, one in b does not: callers meet it again in a sum.
template <typename T>
inline Vec<T> larger(const Vec<T>& a, const Vec<T>& b) {
    return b > a ? b : a;
}

template <typename T>
inline Vec<T> smaller(const Vec<T>& a, const Vec<T>& b) {
    return b < a ? b : a;
}

#if defined(LELKERN_HAS_AVX512)
// One instruction, where GCC makes a comparison and a move under its mask of the above.
template <>
inline Vec<float> larger<float>(const Vec<float>& a, const Vec<float>& b) {
    return (Vec<float>)_mm512_maskz_max_ps(0xffff, (__m512)b, (__m512)a);
}

template <>
inline Vec<double> larger<double>(const Vec<double>& a, const Vec<double>& b) {
    return (Vec<double>)_mm512_maskz_max_pd(0xff, (__m512d)b, (__m512d)a);
}

template <>
inline Vec<float> smaller<float>(const Vec<float>& a, const Vec<float>& b) {
    return (Vec<float>)_mm512_maskz_min_ps(0xffff, (__m512)b, (__m512)a);
}

template <>
inline Vec<double> smaller<double>(const Vec<double>& a, const Vec<double>& b) {
    return (Vec<double>)_mm512_maskz_min_pd(0xff, (__m512d)b, (__m512d)a);
}
#endif

// In a fixed order, so that the result depends on nothing but the lanes.
template <typename T>
inline T sum_of_lanes(const Vec<T>& value) {
    T total = 0;
    for (int i = 0; i < Lanes<T>::count; ++i) total += value[i];
    return total;
}

template <typename T>
inline T max_of_lanes(const Vec<T>& value) {
    T best = value[0];
    for (int i = 1; i < Lanes<T>::count; ++i) best = value[i] > best ? value[i] : best;
    return best;
}

// r -> 2^r for |r| <= 1/2, to about one unit in the last place.
template <typename T>
inline Vec<T> exp2_fraction(const Vec<T>& r) {
    using L = Lanes<T>;
    Vec<T> series = broadcast<T>(L::exp2_coefficients[L::exp2_degree]);
#pragma GCC unroll 16
    for (int k = L::exp2_degree - 1; k >= 0; --k) series = series * r + L::exp2_coefficients[k];
    return series;
}

// 2^x to about one unit in the last place for x <= 127 (float) or 1023 (double). Where it is not a
// normal number it is 0 or not normal; it is 0 for -inf, and NaN stays NaN.
template <typename T>
inline Vec<T> exp2(const Vec<T>& x) {
    using L = Lanes<T>;
    const Vec<T> shifted = x + L::round_magic;  // its low bits: n, the integer next to x
    const Vec<T> n = shifted - L::round_magic;
    const typename L::Bits bits = (typename L::Bits)shifted;
    const typename L::Bits scale = (bits + L::exponent_bias) << L::mantissa_bits;  // that is 2^n
    const Vec<T> result = exp2_fraction<T>(x - n) * (Vec<T>)scale;
    return x < L::exp2_lowest ? Vec<T>{} : result;
}

#if defined(LELKERN_HAS_AVX512)
// AVX-512 rounds and scales in one instruction each. (GCC 12 warns of the forms without a mask.)
template <>
inline Vec<float> exp2<float>(const Vec<float>& x) {
    const Vec<float> n = (Vec<float>)_mm512_maskz_roundscale_ps(0xffff, (__m512)x, 8);
    const Vec<float> fraction = exp2_fraction<float>(x - n);
    return (Vec<float>)_mm512_maskz_scalef_ps(0xffff, (__m512)fraction, (__m512)n);
}
#endif
