// The prox in a diagonal metric d of one group whose numbers lie side by side:
//
//     x = argmin 1/2 sum_i d_i (x_i - w_i)^2 + lam1 ||x||_1 + lam ||x||_2.
//
// Soft thresholds lam1 / d make u of w. With tau = lam / d and r = ||x||_2
//
//     x_i = u_i r / (r + tau_i),    sum_i y_i^2 = 1 for y_i = |u_i| / (r + tau_i),
//
// unless sum_i (u_i / tau_i)^2 <= 1, where x is 0. Included by foreach_isa.h once for each
// instruction set, inside that set's namespace.

// d, or nan for one that is negative; of -0 it is 0.
template <typename T>
inline Vec<T> checked_metric(const Vec<T>& d) {
    return d >= 0 ? magnitude<T>(d) : broadcast<T>(kNan<T>);
}

// A threshold over d: 0 and infinity stay what they are, whatever d is but nan.
template <typename T>
inline Vec<T> over_metric(const Vec<T>& lam, const Vec<T>& d) {
    const Vec<T> infinite = d == d ? lam : d;
    const Vec<T> over = lam == kInfinity<T> ? infinite : lam / d;
    return lam == 0 ? Vec<T>{} : over;
}

// Calls f(i, w, d) for n numbers from i on, a vector at a time; zeros fill up the last one.
template <typename T, typename Element, typename F>
inline void for_each_with_metric(const Element* from, const T* metric, int64_t n, const F& f) {
    constexpr int lanes = Lanes<T>::count;
    for_each_vector<T>(from, n, [&](int64_t i, const Vec<T>& w) {
        const Vec<T> d = i + lanes <= n ? load<T>(metric + i) : read_some<T>(metric + i, n - i);
        f(i, w, checked_metric<T>(d));
    });
}

template <typename Element>
void soft_numbers_in_metric(const void* from, const void* metric, int64_t n, const Scaled& lam1,
                            void* to) {
    using T = Computed<Element>;
    constexpr int lanes = Lanes<T>::count;
    const ThresholdsOf<T> thresholds(lam1);
    Element* const results = static_cast<Element*>(to);
    const auto soften = [&](int64_t i, const Vec<T>& w, const Vec<T>& d) {
        const Vec<T> x = soft<T>(w, over_metric<T>(thresholds.at(i, n), d));
        if (i + lanes <= n) {
            write_rounded<T>(results + i, x);
        } else {
            write_some_rounded<T>(results + i, x, n - i);
        }
    };
    for_each_with_metric(static_cast<const Element*>(from), static_cast<const T*>(metric), n,
                         soften);
}

// r for u and d, which becomes tau, in units of the scale; 0 where x is 0. They are n numbers in
// whole vectors, of which zeros fill up the last.
template <typename T>
inline T norm_in_metric(const T* u, T* d, int64_t n, T t, const PowerOfTwo<T>& scale) {
    const Vec<T> zero{}, one = zero + T(1), given = broadcast<T>(t);
    const auto size_at = [&](const Vec<T>& of) { return scale.raised(magnitude<T>(of)); };
    Vec<T> nearest{}, furthest{};
    const auto begin = [&](int64_t i, const Vec<T>& number, Vec<T>(&parts)[2]) {
        const Vec<T> size = size_at(number), at = load<T>(d + i), plain = given / at;
        // What overflows before it is divided by the scale may not after it.
        const Vec<T> tau = plain == kInfinity<T> ? given / scale.lowered(at) : scale.raised(plain);
        const Vec<T> ratio = size > 0 ? size / tau : zero;
        nearest = larger<T>(nearest, size - tau);
        furthest = larger<T>(furthest, size > 0 ? tau : zero);
        parts[0] += ratio * ratio;
        parts[1] += size * size;
        store<T>(d + i, tau);
    };
    const Sums<2> first = sums_of<T, 2>(u, n, begin);
    if (!(static_cast<T>(first.of[0]) > 1)) return 0;
    // Two bounds from below: of one number alone, and of all if each had the largest tau.
    const double of_all = std::sqrt(first.of[1]) - static_cast<double>(max_of_lanes<T>(furthest));
    T r = std::max(max_of_lanes<T>(nearest), static_cast<T>(of_all));
    r = std::max(r, std::numeric_limits<T>::min());  // 0 over it is 0, where tau is 0, too
    // Newton's steps on 1 / ||y||, which is concave in r, so that they only climb: a few, but more
    // where numbers differ by orders of magnitude.
    for (;;) {
        const Vec<T> at = broadcast<T>(r);
        const auto [sums] =
            sums_of<T, 2>(u, n, [&](int64_t i, const Vec<T>& number, Vec<T>(&parts)[2]) {
                const Vec<T> inverse = one / (at + load<T>(d + i)), y = size_at(number) * inverse;
                const Vec<T> square = y * y;
                parts[0] += square;
                parts[1] += square * inverse;
            });
        const double change = sums[0] * (std::sqrt(sums[0]) - 1) / sums[1];
        const T next = static_cast<T>(r + change);
        if (!(next > r)) return r;
        r = next;
    }
}

template <typename Element>
void metric_group_row(const MetricRow& row, void* to) {
    using T = Computed<Element>;
    constexpr int lanes = Lanes<T>::count;
    const Results results{to, false};
    const int64_t n = row.n, whole = (n + lanes - 1) / lanes * lanes;
    T *const u = static_cast<T*>(row.scratch), *const tau = u + apart_in_scratch(n);
    const Vec<T> lam1 = broadcast<T>(static_cast<T>(row.lam1));
    Vec<T> longest{};
    typename Lanes<T>::Int undefined{};
    const auto keep = [&](int64_t i, const Vec<T>& w, const Vec<T>& d) {
        const Vec<T> left = row.lam1 == 0 ? w : soft<T>(w, over_metric<T>(lam1, d));
        longest = larger<T>(longest, magnitude<T>(left));
        undefined |= (left != left) | (d != d);
        store<T>(u + i, left);
        store<T>(tau + i, d);
    };
    for_each_with_metric(static_cast<const Element*>(row.from), static_cast<const T*>(row.metric),
                         n, keep);
    const T t = static_cast<T>(row.lam), largest = max_of_lanes<T>(longest);
    const bool finite = largest < kInfinity<T>;
    if (t != 0 && (t != t || any_lane<T>(undefined))) {
        return fill<T, Element>(kNan<T>, n, results);
    }
    if (t == kInfinity<T> || (t != 0 && largest == 0)) return fill<T, Element>(0, n, results);
    if (t == 0 || !finite) return convert<T, Element>(u, n, results);
    const T r = norm_in_metric<T>(u, tau, whole, t, PowerOfTwo<T>(largest));
    if (r == 0) return fill<T, Element>(0, n, results);
    const Vec<T> root = broadcast<T>(r);
    transform<T, Element>(static_cast<const T*>(u), n, results, [&](int64_t i, const Vec<T>& x) {
        return x * (root / (root + load<T>(tau + i)));
    });
}
