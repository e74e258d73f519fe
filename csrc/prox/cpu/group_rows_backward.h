// Gradients of the prox of the norm of one group. Included by foreach_isa.h once for each
// instruction set, inside that set's namespace.

// Writes the gradient of w, given that of u, f(i, w, grad); returns that of lam1.
template <typename T, typename Element, typename F>
inline double write_gradient(const GroupRowGradient& row, const Results& results, const F& f) {
    constexpr int lanes = Lanes<T>::count;
    const auto* w = static_cast<const Element*>(row.w);
    const auto* grad = static_cast<const Element*>(row.grad);
    const bool softened = row.lam1 != 0;
    const Vec<T> lam1 = broadcast<T>(static_cast<T>(row.lam1)), zero{};
    const Vec<T> unknown = broadcast<T>(softened ? kNan<T> : T(0));
    Vec<T> part{};
    double of_lam1 = 0;
    int64_t summed = 0;
    const auto flush = [&] {
        of_lam1 -= static_cast<double>(sum_of_lanes<T>(part));
        part = Vec<T>{};
        summed = 0;
    };
    transform<T, Element>(w, row.n, results, [&](int64_t i, const Vec<T>& x) {
        const bool whole = i + lanes <= row.n;
        const Vec<T> g =
            whole ? read<T, Element, lanes>(grad + i) : read_some<T>(grad + i, row.n - i);
        const Vec<T> of_u = f(i, x, g);
        const Vec<T> size = magnitude<T>(x);
        const Vec<T> moves = size > lam1 ? of_u : size <= lam1 ? zero : unknown;
        part += times_sign_of<T>(moves, x);
        summed += lanes;
        if (summed >= kSummed) flush();
        return softened ? moves : of_u;
    });
    flush();
    return of_lam1;
}

// Every gradient is nan.
template <typename T, typename Element>
inline OfThresholds undefined_gradients(const GroupRowGradient& row, const Results& results) {
    fill<T, Element>(kNan<T>, row.n, results);
    return {kNan<double>, kNan<double>};
}

template <typename T, typename Element>
inline OfThresholds no_gradients(const GroupRowGradient& row, const Results& results) {
    fill<T, Element>(0, row.n, results);
    return {0, 0};
}

// x = u, whether or not lam has a gradient.
template <typename T, typename Element>
inline OfThresholds same_gradients(const GroupRowGradient& row, const Results& results,
                                   double of_lam) {
    const auto same = [](int64_t, const Vec<T>&, const Vec<T>& g) { return g; };
    return {write_gradient<T, Element>(row, results, same), of_lam};
}

// Sums over a group of f(i, w, grad, parts).
template <typename T, int count, typename Element, typename F>
inline Sums<count> gradient_sums(const GroupRowGradient& row, const F& f) {
    constexpr int lanes = Lanes<T>::count;
    const auto* grad = static_cast<const Element*>(row.grad);
    return sums_of<T, count>(
        static_cast<const Element*>(row.w), row.n,
        [&](int64_t i, const Vec<T>& w, Vec<T>(&parts)[count]) {
            const bool whole = i + lanes <= row.n;
            f(i, w, whole ? read<T, Element, lanes>(grad + i) : read_some<T>(grad + i, row.n - i),
              parts);
        });
}

// Whether a root of type T says what it is: otherwise the group says more.
template <typename T>
inline bool is_normal(double root) {
    return root >= static_cast<double>(std::numeric_limits<T>::min()) && root < kInfinity<double>;
}

template <typename T, typename Element, typename Soft>
inline OfThresholds l2_backward(const GroupRowGradient& row, const Soft& soft,
                                const Results& results) {
    const ExactNorm norm = is_normal<T>(row.root)
                               ? ExactNorm{row.root, 0}
                               : norm_of(static_cast<const Element*>(row.w), row.n, row.lam1);
    const double t = std::ldexp(row.lam, -norm.exponent);
    if (row.lam != 0 && norm.value <= t) return no_gradients<T, Element>(row, results);
    if (norm.value == 0 || norm.value == kInfinity<double>) {
        return same_gradients<T, Element>(row, results, 0);
    }
    const PowerOfTwo<T> scale(norm.value, norm.exponent);
    const T inverse = static_cast<T>(1 / std::ldexp(norm.value, norm.exponent - scale.exponent));
    const auto direction = [&](const Vec<T>& w) { return scale.raised(soft(w)) * inverse; };
    const auto total =
        gradient_sums<T, 1, Element>(row, [&](int64_t, const Vec<T>& w, const Vec<T>& g,
                                              Vec<T>(&parts)[1]) { parts[0] += direction(w) * g; });
    const double along = total.of[0];
    if (row.lam == 0) return same_gradients<T, Element>(row, results, -along);
    const double ratio = t / norm.value;
    const T rest = static_cast<T>(1 - ratio), back = static_cast<T>(ratio * along);
    const double of_lam1 = write_gradient<T, Element>(
        row, results,
        [&](int64_t, const Vec<T>& w, const Vec<T>& g) { return rest * g + back * direction(w); });
    return {of_lam1, -along};
}

template <typename T, typename Soft>
inline OfThresholds linf_backward(const GroupRowGradient& row, const Soft& soft,
                                  const Results& results) {
    const Vec<T> level = broadcast<T>(static_cast<T>(row.root)), zero{}, one = zero + T(1);
    const auto [sums] = gradient_sums<T, 2, T>(
        row, [&](int64_t, const Vec<T>& w, const Vec<T>& g, Vec<T>(&parts)[2]) {
            const Vec<T> u = soft(w);
            const auto is_cut = magnitude<T>(u) >= level;
            parts[0] += is_cut ? times_sign_of<T>(g, u) : zero;
            parts[1] += is_cut ? one : zero;
        });
    const double mean = sums[1] > 0 ? sums[0] / sums[1] : 0;
    if (row.lam == 0) return same_gradients<T, T>(row, results, -mean);
    const Vec<T> shared = broadcast<T>(static_cast<T>(mean));
    const double of_lam1 =
        write_gradient<T, T>(row, results, [&](int64_t, const Vec<T>& w, const Vec<T>& g) {
            const Vec<T> u = soft(w);
            return magnitude<T>(u) >= level ? times_sign_of<T>(shared, u) : g;
        });
    return {of_lam1, -mean};
}

// The Jacobian of x is (I + D - k a a')^-1 with a = y^(q-1), k = t (q - 1) / c and D = k y^(q-2) on
// the diagonal, and the derivative by t is minus that times a: by Sherman and Morrison.
template <typename Number, typename Roots, typename Soft>
inline OfThresholds power_backward(const GroupRowGradient& row, const Soft& soft, Roots roots,
                                   const Results& results) {
    using T = typename Roots::T;
    const auto* w = static_cast<const Number*>(row.w);
    const double largest = magnitudes_of<T>(w, row.n, soft).largest;
    if (largest == kInfinity<double>) return same_gradients<T, Number>(row, results, 0);
    const PowerOfTwo<T> scale(largest);
    const double t = std::ldexp(row.lam, -scale.exponent);
    const double c = is_normal<Number>(row.root)
                         ? std::ldexp(row.root, -scale.exponent)
                         : minimiser_norm(w, row.n, row.q, t, largest, soft, scale, roots);
    const double k = t * (row.q - 1) / c;
    const Vec<T> limit = broadcast<T>(row.q > 2 ? T(1) : T(0));
    roots.set(c, t);
    struct Parts {
        Vec<T> y, gradient, inverse;  // the second with the sign of u; of 1 + D
    };
    const auto parts_of = [&](int64_t i, const Vec<T>& x) -> Parts {
        const Vec<T> u = soft(x);
        const PowerRoots<T> found = roots(i, scale.raised(magnitude<T>(u)));
        const Vec<T> whole = found.y + static_cast<T>(k) * found.gradient;
        return {found.y, with_sign_of<T>(found.gradient, u), whole > 0 ? found.y / whole : limit};
    };
    const auto [sums] = gradient_sums<T, 2, Number>(
        row, [&](int64_t i, const Vec<T>& x, const Vec<T>& g, Vec<T>(&parts)[2]) {
            const Parts p = parts_of(i, x);
            parts[0] += p.gradient * p.inverse * g;
            parts[1] += p.y * magnitude<T>(p.gradient) * p.inverse;
        });
    const double along = sums[0] / sums[1];
    if (row.lam == 0) return same_gradients<T, Number>(row, results, -along);
    const T back = static_cast<T>(k * along);
    const double of_lam1 =
        write_gradient<T, Number>(row, results, [&](int64_t i, const Vec<T>& x, const Vec<T>& g) {
            const Parts p = parts_of(i, x);
            return p.inverse * (g + back * p.gradient);
        });
    return {of_lam1, -along};
}

template <typename Element>
__attribute__((noinline)) OfThresholds l2_backward_of(const GroupRowGradient& row,
                                                      const Results& results) {
    using T = Computed<Element>;
    return with_soft<T>(
        row.lam1, [&](const auto& soft) { return l2_backward<T, Element>(row, soft, results); });
}

// Any q but 2, of numbers in the type that is computed in.
template <typename T>
__attribute__((noinline)) OfThresholds backward_of_passes(const GroupRowGradient& row,
                                                          const Results& results) {
    if (row.q == kInfinity<double>) {
        return with_soft<T>(row.lam1,
                            [&](const auto& soft) { return linf_backward<T>(row, soft, results); });
    }
    const Softened<T> soft(static_cast<T>(row.lam1));
    if (row.q == 3) return power_backward<T>(row, soft, Cubes<T>(), results);
    if (row.q == 1.5) return power_backward<T>(row, soft, ThreeHalves<T>(), results);
    const AnyPower roots(row.q, empty_roots(row.scratch, row.n));
    return power_backward<T>(row, Softened<double>(row.lam1), roots, results);
}

template <typename Element>
OfThresholds group_row_backward(const GroupRowGradient& row, const Results& results) {
    using T = Computed<Element>;
    const double t = row.lam, root = row.root;
    if (t != t || (t != 0 && root != root)) {
        return undefined_gradients<T, Element>(row, results);
    }
    if (row.q == 2) {
        if (root != root) return same_gradients<T, Element>(row, results, 0);
        return l2_backward_of<Element>(row, results);
    }
    if (root == 0 && t != 0) return no_gradients<T, Element>(row, results);
    const bool decided = row.q == kInfinity<double> && root == kInfinity<double>;
    if (decided || !(root > 0)) return same_gradients<T, Element>(row, results, 0);
    if constexpr (std::is_same_v<Element, T>) {
        return backward_of_passes<T>(row, results);
    } else {
        T *const w = wide_row(row.scratch, row.n, 0), *const grad = wide_row(row.scratch, row.n, 1);
        convert<T, T>(static_cast<const Element*>(row.w), row.n, {w, false});
        convert<T, T>(static_cast<const Element*>(row.grad), row.n, {grad, false});
        GroupRowGradient wide = row;
        wide.w = w;
        wide.grad = grad;
        const OfThresholds of = backward_of_passes<T>(wide, {grad, false});
        convert<T, Element>(grad, row.n, results);
        return of;
    }
}
