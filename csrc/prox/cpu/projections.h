// Projections of rows onto the simplex, the l1 ball and the l1-infinity ball, and their gradients.
// Included by foreach_isa.h once for each instruction set, inside that set's namespace.

// As many numbers as whole vectors have.
template <typename T>
constexpr int64_t padded(int64_t n) {
    return (n + Lanes<T>::count - 1) / Lanes<T>::count * Lanes<T>::count;
}

// What is known of the numbers of a row: nan if one is.
struct RowLargest {
    double largest, sum;
};

template <typename T, typename Element, typename F>
inline RowLargest largest_of(const Element* from, int64_t n, const F& f) {
    constexpr int lanes = Lanes<T>::count;
    const Vec<T> lowest = broadcast<T>(-kInfinity<T>), zero{}, one = zero + T(1);
    Vec<T> largest = lowest;
    const auto [sums] = sums_of<T, 2>(from, n, [&](int64_t i, const Vec<T>& x, Vec<T>(&parts)[2]) {
        const Vec<T> value = f(x);
        const Vec<T> there = i + lanes <= n ? value : first_lanes<T>(n - i) ? value : lowest;
        largest = larger<T>(largest, there);
        parts[0] += value;
        parts[1] += value == value ? zero : one;
    });
    if (sums[1] > 0) return {kNan<double>, kNan<double>};
    return {static_cast<double>(max_of_lanes<T>(largest)), sums[0]};
}

// What a radius is multiplied by so that n times as much does not overflow.
template <typename T>
inline double unit_of(double radius, int64_t n) {
    const double small = 0.25 / static_cast<double>(n + 1);
    return radius > small * std::numeric_limits<T>::max() ? small : 1;
}

// Numbers are compared with the largest of the row, so that a radius that is small beside it loses
// nothing; what is infinite shares its place.
template <typename Element>
__attribute__((noinline)) double simplex(const void* from, int64_t n, double radius, bool l1,
                                         void* scratch, void* to) {
    using T = Computed<Element>;
    constexpr int lanes = Lanes<T>::count;
    const auto* x = static_cast<const Element*>(from);
    T* const values = static_cast<T*>(scratch);
    const Results results{to, false};
    const auto known = l1 ? largest_of<T>(x, n, [](const Vec<T>& v) { return magnitude<T>(v); })
                          : largest_of<T>(x, n, [](const Vec<T>& v) { return v; });
    const bool inside = l1 && known.sum <= radius;
    if (!(known.largest > -kInfinity<double> && radius >= 0) ||
        (!inside && radius == kInfinity<double>)) {
        fill<T, Element>(kNan<T>, n, results);
        return kNan<double>;
    }
    if (inside) {
        transform<T, Element>(x, n, results, [](int64_t, const Vec<T>& v) { return v; });
        return 0;
    }
    const Vec<T> top = broadcast<T>(static_cast<T>(known.largest)), zero{};
    const Vec<T> lowest = broadcast<T>(-kInfinity<T>);
    const double unit = unit_of<T>(radius, n), sum = radius * unit;
    const Vec<T> by = broadcast<T>(static_cast<T>(unit));
    const auto relative = [&](const Vec<T>& v) {
        const Vec<T> size = l1 ? magnitude<T>(v) : v;
        return size == top ? zero : size - top;
    };
    const auto total = sums_of<T, 1>(x, n, [&](int64_t i, const Vec<T>& v, Vec<T>(&parts)[1]) {
        Vec<T> value = relative(v) * by;
        if (i + lanes > n) {
            const auto there = first_lanes<T>(n - i);
            parts[0] += there ? value : zero;
            value = there ? value : lowest;
        } else {
            parts[0] += value;
        }
        store<T>(values + i, value);
    });
    const double mean = (total.of[0] - sum) / static_cast<double>(n);
    const double depth =
        water_level<T>(values, padded<T>(n), sum, std::max(mean, -sum), -kInfinity<double>,
                       [](const Vec<T>& v, int64_t) { return v; })
            .level /
        unit;
    const Vec<T> level = broadcast<T>(static_cast<T>(depth));
    transform<T, Element>(x, n, results, [&](int64_t, const Vec<T>& v) {
        const Vec<T> above = relative(v) - level;
        const Vec<T> y = above > zero ? above : zero;
        return l1 ? with_sign_of<T>(y, v) : y;
    });
    return known.largest + depth;
}

template <typename Element>
__attribute__((noinline)) double simplex_backward(const void* grad, const void* y, int64_t n,
                                                  bool l1, double theta, void* to) {
    using T = Computed<Element>;
    constexpr int lanes = Lanes<T>::count;
    const auto* result = static_cast<const Element*>(y);
    const auto* of_y = static_cast<const Element*>(grad);
    const Results results{to, false};
    if (theta != theta) {
        fill<T, Element>(kNan<T>, n, results);
        return theta;
    }
    const bool inside = l1 && theta == 0;
    const Vec<T> zero{}, one = zero + T(1);
    const auto gradient = [&](int64_t i) {
        return i + lanes <= n ? read<T, Element, lanes>(of_y + i) : read_some<T>(of_y + i, n - i);
    };
    double mean = 0;
    if (!inside) {
        const auto [sums] =
            sums_of<T, 2>(result, n, [&](int64_t i, const Vec<T>& v, Vec<T>(&parts)[2]) {
                parts[0] += v == 0 ? zero : times_sign_of<T>(gradient(i), v);
                parts[1] += v == 0 ? zero : one;
            });
        if (sums[1] > 0) mean = sums[0] / sums[1];
    }
    const Vec<T> shared = broadcast<T>(static_cast<T>(mean));
    transform<T, Element>(result, n, results, [&](int64_t i, const Vec<T>& v) {
        const Vec<T> g = gradient(i);
        if (inside) return g;
        return v == 0 ? zero : g - times_sign_of<T>(shared, v);
    });
    return mean;
}

template <typename Element>
void magnitudes(const void* x, int64_t n, double* sum, double* largest) {
    using T = Computed<Element>;
    const auto same = [](const Vec<T>& v) { return v; };
    const Magnitudes known = magnitudes_of<T>(static_cast<const Element*>(x), n, same);
    *sum = known.sum;
    *largest = known.largest;
}

template <typename Element>
__attribute__((noinline)) Cut cut(const void* x, int64_t n, double theta, double start) {
    using T = Computed<Element>;
    return water_level<T>(static_cast<const Element*>(x), n, theta, start, 0,
                          [](const Vec<T>& v, int64_t) { return magnitude<T>(v); });
}

template <typename Element>
__attribute__((noinline)) void clip(const void* x, int64_t n, double level,
                                    const Results& results) {
    using T = Computed<Element>;
    const Vec<T> most = broadcast<T>(static_cast<T>(level));
    transform<T, Element>(static_cast<const Element*>(x), n, results,
                          [&](int64_t, const Vec<T>& v) {
                              return with_sign_of<T>(smaller<T>(most, magnitude<T>(v)), v);
                          });
}

template <typename Element>
__attribute__((noinline)) double along_cut(const void* grad, const void* x, int64_t n, double level,
                                           double* count) {
    using T = Computed<Element>;
    constexpr int lanes = Lanes<T>::count;
    const auto* of_y = static_cast<const Element*>(grad);
    const Vec<T> most = broadcast<T>(static_cast<T>(level)), zero{}, one = zero + T(1);
    const auto [sums] = sums_of<T, 2>(
        static_cast<const Element*>(x), n, [&](int64_t i, const Vec<T>& v, Vec<T>(&parts)[2]) {
            const Vec<T> g =
                i + lanes <= n ? read<T, Element, lanes>(of_y + i) : read_some<T>(of_y + i, n - i);
            const auto is_cut = magnitude<T>(v) >= most;
            parts[0] += is_cut ? times_sign_of<T>(g, v) : zero;
            parts[1] += is_cut ? one : zero;
        });
    *count = sums[1];
    return sums[0];
}

template <typename Element>
__attribute__((noinline)) void clip_backward(const void* grad, const void* x, int64_t n,
                                             double level, double value, void* to) {
    using T = Computed<Element>;
    constexpr int lanes = Lanes<T>::count;
    const auto* of_y = static_cast<const Element*>(grad);
    const Vec<T> most = broadcast<T>(static_cast<T>(level));
    const Vec<T> shared = broadcast<T>(static_cast<T>(value));
    transform<T, Element>(
        static_cast<const Element*>(x), n, Results{to, false}, [&](int64_t i, const Vec<T>& v) {
            const Vec<T> g =
                i + lanes <= n ? read<T, Element, lanes>(of_y + i) : read_some<T>(of_y + i, n - i);
            return magnitude<T>(v) < most ? g : times_sign_of<T>(shared, v);
        });
}
