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
    static constexpr int count = LELKERN_VECTOR_BYTES / sizeof(float);

    static constexpr float round_magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    static constexpr int mantissa_bits = 23, exponent_bias = 127;
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float exp_lowest = -87.33f;  // below, exp(x) is not a normal number
    static constexpr int exp_degree = 7;          // Taylor on |r| <= ln(2)/2: 5e-9 relative
};

template <>
struct Lanes<double> {
    typedef double Vec __attribute__((vector_size(LELKERN_VECTOR_BYTES)));
    typedef double Loose __attribute__((vector_size(LELKERN_VECTOR_BYTES), aligned(8), may_alias));
    typedef int64_t Int __attribute__((vector_size(LELKERN_VECTOR_BYTES)));
    static constexpr int count = LELKERN_VECTOR_BYTES / sizeof(double);

    static constexpr double round_magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr int mantissa_bits = 52, exponent_bias = 1023;
    static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
    static constexpr double exp_lowest = -708.39;
    static constexpr int exp_degree = 13;  // Taylor on |r| <= ln(2)/2: 4e-18 relative
};

template <typename T>
using Vec = typename Lanes<T>::Vec;

template <typename T>
inline Vec<T> load(const T* from) {
    return *reinterpret_cast<const typename Lanes<T>::Loose*>(from);
}

template <typename T>
inline void store(T* to, const Vec<T>& value) {
    *reinterpret_cast<typename Lanes<T>::Loose*>(to) = value;
}

template <typename T>
inline Vec<T> broadcast(T value) {
    return value - Vec<T>{};
}

// In a fixed order, so that the result depends on nothing but the lanes.
template <typename T>
inline T sum_of_lanes(const Vec<T>& value) {
    T total = 0;
    for (int i = 0; i < Lanes<T>::count; ++i) total += value[i];
    return total;
}

// NaN lanes may or may not win: callers meet the NaN again in the sum of exponentials.
template <typename T>
inline T max_of_lanes(const Vec<T>& value) {
    T best = value[0];
    for (int i = 1; i < Lanes<T>::count; ++i) best = value[i] > best ? value[i] : best;
    return best;
}

// exp(x) to about one unit in the last place for x <= 88 (float) or 709 (double).
// Results that are not normal numbers become 0, also for x = -inf; NaN stays NaN.
template <typename T>
inline Vec<T> exp(const Vec<T>& x) {
    using L = Lanes<T>;
    using Int = typename L::Int;
    const Vec<T> shifted = x * T(1.4426950408889634) + L::round_magic;  // low bits: n = [x / ln 2]
    const Vec<T> n = shifted - L::round_magic;
    const Vec<T> r = (x - n * L::ln2_high) - n * L::ln2_low;
    T factorial = 1;
    for (int k = 2; k <= L::exp_degree; ++k) factorial *= T(k);
    Vec<T> series = broadcast<T>(1 / factorial);
    for (int k = L::exp_degree; k > 0; --k) {
        factorial /= T(k);
        series = series * r + 1 / factorial;
    }
    const Int bits = (Int)shifted;
    const Int scale = (bits + L::exponent_bias) << L::mantissa_bits;  // the bits of 2^n
    const Vec<T> result = series * (Vec<T>)scale;
    return x < L::exp_lowest ? Vec<T>{} : result;
}
