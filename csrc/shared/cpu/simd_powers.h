// Logarithms of ratios, and powers, on vectors. Included after simd.h inside the namespace of an
// instruction set, by the headers of families.

constexpr double kLn2 = 0.6931471805599453, kLog2E = 1.4426950408889634;

template <typename T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();
template <typename T>
constexpr T kNan = std::numeric_limits<T>::quiet_NaN();

template <typename T>
struct RatioSeries;

// Of 2 / ln 2 * atanh(s) / s = 2 / ln 2 * sum_k s^2k / (2k + 1). At |s| <= 1/5 what is left out is
// 4e-10 of it in float, and 5e-18 in double.
template <>
struct RatioSeries<float> {
    static constexpr int degree = 5;
};
template <>
struct RatioSeries<double> {
    static constexpr int degree = 11;
};

constexpr double kTwoOverLn2 = 2.8853900817779268;

// Whole numbers of at most 51 bits as such of T. AVX2 converts none of 64 bits.
template <typename T>
inline Vec<T> as_numbers(const typename Lanes<T>::Int& whole) {
    if constexpr (sizeof(T) == sizeof(float)) {
        return __builtin_convertvector(whole, Vec<T>);
    } else {
        const Vec<T> zero = broadcast<T>(Lanes<T>::round_magic);  // whose low bits count from 0
        return (Vec<T>)((typename Lanes<T>::Bits)zero + (typename Lanes<T>::Bits)whole) - zero;
    }
}

// log2(p / largest) of positive numbers, such as probabilities up to the largest, to a few units in
// its last place however near it is to 0; -inf for 0; nan for what is negative or nan, or beside a
// largest that is no probability.
template <typename T>
class RatioToLargest {
  public:
    explicit RatioToLargest(T largest) {
        if (!(largest > 0 && largest < kInfinity<T>)) largest = kNan<T>;
        lift_ = largest < kTiny ? T(kLift) : 0;
        largest_ = broadcast<T>(largest < kTiny ? largest * kLifted : largest);
    }

    Vec<T> operator()(const Vec<T>& p) const {
        using L = Lanes<T>;
        using Int = typename L::Int;
        using Bits = typename L::Bits;
        // As numbers with a whole exponent, of which largest's logarithm is the nearest to p's.
        const auto tiny = p < T(kTiny);
        const Vec<T> lifted = tiny ? p * T(kLifted) : p;
        const Bits half = (Bits{} + 1) << (L::mantissa_bits - 1);
        const Int whole = (Int)((Bits)lifted - (Bits)largest_ + half) >> L::mantissa_bits;
        const Vec<T> near = (Vec<T>)((Bits)lifted - ((Bits)whole << L::mantissa_bits));
        const Vec<T> s = (near - largest_) / (near + largest_);  // the difference is exact
        const Vec<T> square = s * s;
        Vec<T> series = broadcast<T>(coefficient(RatioSeries<T>::degree));
#pragma GCC unroll 16
        for (int k = RatioSeries<T>::degree - 1; k >= 0; --k) {
            series = series * square + coefficient(k);
        }
        const Vec<T> dropped = tiny ? broadcast<T>(lift_ - T(kLift)) : broadcast<T>(lift_);
        const Vec<T> result = as_numbers<T>(whole) + dropped + s * series;
        return p > 0 ? result : (p == 0 ? broadcast<T>(-kInfinity<T>) : broadcast<T>(kNan<T>));
    }

  private:
    static constexpr T coefficient(int k) { return static_cast<T>(kTwoOverLn2 / (2 * k + 1)); }

    // Smaller numbers are multiplied by 2^kLift, so that all have a leading bit.
    static constexpr int kLift = 64;
    static constexpr T kLifted = 18446744073709551616.0;
    static constexpr T kTiny = std::numeric_limits<T>::min();

    Vec<T> largest_;
    T lift_;
};

// 2^x for any x: 0 where it is no normal number, and infinite where it is beyond all.
template <typename T>
inline Vec<T> exp2_of_any(const Vec<T>& x) {
    const Vec<T> highest = broadcast<T>(-Lanes<T>::exp2_lowest);
    const Vec<T> half = smaller<T>(x * T(0.5), highest);
    const Vec<T> root = exp2<T>(half);
    return root * root;
}

// x^n.
template <int n, typename V>
inline V whole_power(const V& x) {
    static_assert(n == 1 || n == 2 || n == 4);
    if constexpr (n == 1) {
        return x;
    } else {
        const V square = x * x;
        return n == 2 ? square : square * square;
    }
}

// Calls f(n) where beta is a whole number n that whole_power takes, as a constant, and g()
// elsewhere.
template <typename F, typename G>
inline auto with_whole_power(double beta, const F& f, const G& g) {
    if (beta == 1) return f(std::integral_constant<int, 1>());
    if (beta == 2) return f(std::integral_constant<int, 2>());
    if (beta == 4) return f(std::integral_constant<int, 4>());
    return g();
}
