// Sharpening of one distribution, and its gradients. Included by foreach_isa.h once for each
// instruction set, inside that set's namespace.

#include "shared/cpu/simd_numbers.h"

#include "shared/cpu/simd_powers.h"

// As many numbers as whole vectors have.
template <typename T>
constexpr int64_t padded(int64_t n) {
    return (n + Lanes<T>::count - 1) / Lanes<T>::count * Lanes<T>::count;
}

// Calls f(i, numbers from i on) for n numbers, a vector at a time; `rest` fills up the last one.
template <typename T, typename Element, typename F>
inline void for_each_vector(const Element* from, int64_t n, T rest, const F& f) {
    constexpr int lanes = Lanes<T>::count;
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) f(i, read<T, Element, lanes>(from + i));
    if (i == n) return;
    const Vec<T> last = read_some<T>(from + i, n - i);
    f(i, first_lanes<T>(n - i) ? last : broadcast<T>(rest));
}

// to = factor * from, rounded. `from` is padded.
template <typename T, typename Element>
inline void store_row(const T* from, int64_t n, T factor, Element* to) {
    constexpr int lanes = Lanes<T>::count;
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        write<T, Element, lanes, false>(to + i, load<T>(from + i) * factor, nullptr);
    }
    if (i < n) write_some<T>(to + i, load<T>(from + i) * factor, n - i);
}

// The largest of n numbers; a nan may be left out, and turns up in sums.
template <typename T, typename Element>
inline T largest_of(const Element* from, int64_t n) {
    constexpr int lanes = Lanes<T>::count;
    constexpr int several = 4;  // so that none waits for the one before
    Vec<T> largest[several];
    for (Vec<T>& each : largest) each = broadcast<T>(-kInfinity<T>);
    int64_t i = 0;
    for (; i + several * lanes <= n; i += several * lanes) {
#pragma GCC unroll 4
        for (int k = 0; k < several; ++k) {
            largest[k] = larger<T>(largest[k], read<T, Element, lanes>(from + i + k * lanes));
        }
    }
    for_each_vector<T>(from + i, n - i, -kInfinity<T>,
                       [&](int64_t, const Vec<T>& x) { largest[0] = larger<T>(largest[0], x); });
    return max_of_lanes<T>(
        larger<T>(larger<T>(largest[0], largest[1]), larger<T>(largest[2], largest[3])));
}

// From the numbers of a row to the logarithms of their ratios to the largest: at most 0, and nan in
// a row that is no distribution.
template <typename T, bool finite>
struct LogitsOf {
    static constexpr double unit = kLog2E;    // of the logarithms, in that of base 2
    static constexpr T rest = -kInfinity<T>;  // what has no probability

    explicit LogitsOf(T largest) : largest_(broadcast<T>(largest == rest ? kNan<T> : largest)) {}

    Vec<T> log_ratio(const Vec<T>& x) const {
        if constexpr (finite) return x - largest_;
        return x == largest_ ? Vec<T>{} : x - largest_;  // infinite ones share the first place
    }

  private:
    const Vec<T> largest_;
};

template <typename T>
struct ProbabilitiesOf {
    static constexpr double unit = 1;
    static constexpr T rest = 0;

    explicit ProbabilitiesOf(T largest) : ratio_(largest) {}

    Vec<T> log_ratio(const Vec<T>& p) const { return ratio_(p); }

  private:
    const RatioToLargest<T> ratio_;
};

// The number of T next to x, but for nan a finite one.
template <typename T>
inline T finite(double x) {
    constexpr double most = std::numeric_limits<T>::max();
    return static_cast<T>(x > most ? most : x < -most ? -most : x);
}

// powers = the ratios to the power of beta, padded with zeros; returns their sum. `log_ratio`:
// where the logarithms go, or null.
template <typename T, typename Kind, typename Element>
inline T fill_powers(const Element* from, int64_t n, const Kind& kind, double beta, T* powers,
                     T* log_ratio) {
    const T scale = finite<T>(beta * Kind::unit);
    Vec<T> sum{};
    for_each_vector<T>(from, n, Kind::rest, [&](int64_t i, const Vec<T>& x) {
        __builtin_prefetch(from + n + i);  // the row that comes next
        const Vec<T> log = kind.log_ratio(x);
        if (log_ratio != nullptr) store<T>(log_ratio + i, log);
        const Vec<T> power = exp2<T>(log * scale);
        store<T>(powers + i, power);
        sum += power;
    });
    return sum_of_lanes<T>(sum);
}

template <typename T, typename Element>
inline T fill_powers_of_logits(const Element* from, int64_t n, T largest, double beta, T* powers,
                               T* log_ratio = nullptr) {
    if (largest < kInfinity<T> && largest > -kInfinity<T>) {
        return fill_powers<T>(from, n, LogitsOf<T, true>(largest), beta, powers, log_ratio);
    }
    return fill_powers<T>(from, n, LogitsOf<T, false>(largest), beta, powers, log_ratio);
}

template <typename T, typename Element>
inline T fill_powers_of_probabilities(const Element* from, int64_t n, T largest, double beta,
                                      T* powers) {
    const auto without_logarithms = [&](auto whole) {
        const Vec<T> by = broadcast<T>(largest > 0 && largest < kInfinity<T> ? largest : kNan<T>);
        Vec<T> sum{};
        for_each_vector<T>(from, n, T(0), [&](int64_t i, const Vec<T>& p) {
            const Vec<T> ratio = (p >= 0 ? p : broadcast<T>(kNan<T>)) / by;
            const Vec<T> power = whole_power<whole()>(ratio);
            store<T>(powers + i, power);
            sum += power;
        });
        return sum_of_lanes<T>(sum);
    };
    return with_whole_power(beta, without_logarithms, [&] {
        return fill_powers<T>(from, n, ProbabilitiesOf<T>(largest), beta, powers,
                              static_cast<T*>(nullptr));
    });
}

template <typename T, typename Element>
void sharpen_row(const void* x, int64_t n, double beta, bool logits, void* scratch, void* to) {
    const auto* from = static_cast<const Element*>(x);
    T* powers = static_cast<T*>(scratch);
    const T largest = largest_of<T>(from, n);
    const T sum = logits ? fill_powers_of_logits<T>(from, n, largest, beta, powers)
                         : fill_powers_of_probabilities<T>(from, n, largest, beta, powers);
    store_row<T>(powers, n, 1 / sum, static_cast<Element*>(to));
}

// Replaces powers, which sum to q times `sum`, by f(log_ratio, q, centred), where q times the
// centred gradient, g - sum g q, is the gradient of beta * log_ratio. Returns the sum of the latter
// times log_ratio. log_ratio is -inf and powers are 0 where they are padded.
template <typename T, typename Element, typename F>
inline T replace_by_gradients(const Element* grad, int64_t n, const T* log_ratio, T sum, T* powers,
                              const F& f) {
    Vec<T> along{};
    for_each_vector<T>(grad, n, T(0),
                       [&](int64_t i, const Vec<T>& g) { along += g * load<T>(powers + i); });
    const T inverse = 1 / sum, mean = sum_of_lanes<T>(along) * inverse;
    const Vec<T> lowest = broadcast<T>(std::numeric_limits<T>::lowest());  // which times 0 is 0
    Vec<T> moved{};
    for_each_vector<T>(grad, n, T(0), [&](int64_t i, const Vec<T>& g) {
        const Vec<T> q = load<T>(powers + i) * inverse, centred = g - mean;
        const Vec<T> log = larger<T>(load<T>(log_ratio + i), lowest);
        moved += q * centred * log;
        store<T>(powers + i, f(log, q, centred));
    });
    return sum_of_lanes<T>(moved);
}

template <typename T, typename Element>
double sharpen_row_backward(const void* grad, const void* x, int64_t n, double beta, bool logits,
                            void* scratch, void* to) {
    const auto* from = static_cast<const Element*>(x);
    const auto* of_result = static_cast<const Element*>(grad);
    T* powers = static_cast<T*>(scratch);
    T* log_ratio = powers + padded<T>(n);
    const T largest = largest_of<T>(from, n);
    double moved = 0;
    if (logits) {
        const T sum = fill_powers_of_logits<T>(from, n, largest, beta, powers, log_ratio);
        moved = replace_by_gradients<T>(
            of_result, n, log_ratio, sum, powers,
            [](const Vec<T>&, const Vec<T>& q, const Vec<T>& centred) { return q * centred; });
    } else {
        const ProbabilitiesOf<T> kind(largest);
        const T sum = fill_powers<T>(from, n, kind, beta, powers, log_ratio);
        // q / p, where p is 0 as well: p^(beta - 1) over what all powers are divided by.
        const T one_less = finite<T>(beta - 1);
        moved = kLn2 * replace_by_gradients<T>(
                           of_result, n, log_ratio, sum, powers,
                           [&](const Vec<T>& log, const Vec<T>&, const Vec<T>& centred) {
                               return exp2_of_any<T>(log * one_less) / sum / largest * centred;
                           });
    }
    store_row<T>(powers, n, finite<T>(beta), static_cast<Element*>(to));
    return moved;
}
