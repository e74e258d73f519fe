// The prox of the norm of one group whose numbers lie side by side. Included by foreach_isa.h once
// for each instruction set, inside that set's namespace.

// What likely is next: the numbers of the group behind this one. Memory would wait while this
// group, by then in a cache, is read again and written; so they are sent for already, where both
// groups have room there: with q = 2 while it is written (in its first pass they would compete with
// what the processor fetches ahead by itself: 15 % slower), otherwise in the first of several
// passes.
template <typename From>
class NextGroup {
  public:
    NextGroup(const From* from, int64_t n)
        : at_(n * static_cast<int64_t>(sizeof(From)) <= kRoom ? from + n : from) {}

    void fetch(int64_t i) const { __builtin_prefetch(at_ + i); }
    void fetch_all(int64_t n) const {
        constexpr int64_t line = 64 / sizeof(From);
        for (int64_t i = 0; i < n; i += line) fetch(i);
    }

  private:
    static constexpr int64_t kRoom = 32 << 10;  // bytes
    const From* const at_;
};

// What is known of |u|, numbers after the soft threshold.
struct Magnitudes {
    double sum, largest;  // nan if a number is
};

template <typename T, typename From, typename Soft>
inline Magnitudes magnitudes_of(const From* from, int64_t n, const Soft& soft) {
    const NextGroup<From> next(from, n);
    Vec<T> largest{};
    const auto total = sums_of<T, 1>(from, n, [&](int64_t i, const Vec<T>& w, Vec<T>(&parts)[1]) {
        next.fetch(i);
        const Vec<T> size = magnitude<T>(soft(w));
        largest = larger<T>(largest, size);
        parts[0] += size;
    });
    const double sum = total.of[0];
    return {sum, sum == sum ? static_cast<double>(max_of_lanes<T>(largest)) : sum};
}

// ||u|| as a number times 2^exponent, whatever its size; nan or infinite where a number is.
struct ExactNorm {
    double value;
    int exponent;
};

template <typename From, typename Soft>
__attribute__((noinline)) ExactNorm exact_norm(const From* from, int64_t n, const Soft& soft) {
    const double largest = magnitudes_of<double>(from, n, soft).largest;
    if (!(largest > 0 && largest < kInfinity<double>)) return {largest, 0};
    const PowerOfTwo<double> scale(largest);
    const auto total =
        sums_of<double, 1>(from, n, [&](int64_t, const Vec<double>& w, Vec<double>(&parts)[1]) {
            const Vec<double> u = scale.raised(soft(w));
            parts[0] += u * u;
        });
    return {std::sqrt(total.of[0]), scale.exponent};
}

// ||u||^2 where numbers are computed in double.
template <typename From, typename Soft>
inline double squares_of(const From* from, int64_t n, const Soft& soft) {
    const auto add = [&](int64_t, const Vec<double>& w, Vec<double>(&parts)[1]) {
        const Vec<double> u = soft(w);
        parts[0] += u * u;
    };
    return sums_of<double, 1>(from, n, add).of[0];
}

// The same of floats: a few squares are added up in float, and such sums in double. A float has
// been rounded as often as it has terms, so that the norm is off by its last place at most.
template <typename From, typename Soft>
inline double squares_of_floats(const From* from, int64_t n, const Soft& soft) {
    using T = float;
    constexpr int lanes = Lanes<T>::count, ways = 2, step = kSummedInFloat * ways * lanes;
    Vec<double> sums[ways][2] = {};
    int64_t i = 0;
    for (; i + step <= n; i += step) {
#pragma GCC unroll 2
        for (int way = 0; way < ways; ++way) {
            Vec<T> squares{};
#pragma GCC unroll 4
            for (int k = 0; k < kSummedInFloat; ++k) {
                const int64_t at = i + (way * kSummedInFloat + k) * lanes;
                const Vec<T> u = soft(read<T, From, lanes>(from + at));
                squares += u * u;
            }
            add_in_double(squares, sums[way]);
        }
    }
    for_each_vector<T>(from + i, n - i, [&](int64_t, const Vec<T>& w) {
        const Vec<T> u = soft(w);
        add_in_double(u * u, sums[0]);
    });
    return sum_by_halves<double>((sums[0][0] + sums[0][1]) + (sums[1][0] + sums[1][1]));
}

// ||u|| as a number times 2^exponent.
template <typename From>
inline ExactNorm norm_of(const From* from, int64_t n, double lam1) {
    if constexpr (!std::is_same_v<From, double>) {
        const double sum = with_soft<float>(
            lam1, [&](const auto& soft) { return squares_of_floats(from, n, soft); });
        if (are_in_range(sum, n, ScalarType::Float)) return {std::sqrt(sum), 0};
    }
    return with_soft<double>(lam1, [&](const auto& soft) -> ExactNorm {
        const double sum = squares_of(from, n, soft);
        if (!std::is_same_v<From, double> || are_in_range(sum, n, ScalarType::Double)) {
            return {std::sqrt(sum), 0};
        }
        return exact_norm(from, n, soft);
    });
}

// Where sum (f(x) - level)+ = t, from a level near it and at least `lowest`: by Newton's method,
// which takes finitely many steps as the sum is convex and made of lines, and after the first one
// all upwards. Zeros that fill up the last vector must become at most `lowest`.
template <typename T, typename From, typename F>
inline Cut water_level(const From* from, int64_t n, double t, double start, double lowest,
                       const F& f) {
    T level = static_cast<T>(std::max(start, lowest));
    double before = -1;
    for (;;) {
        const Vec<T> at = broadcast<T>(level);
        const auto [of] =
            sums_of<T, 2>(from, n, [&](int64_t i, const Vec<T>& x, Vec<T>(&parts)[2]) {
                add_positive<T>(f(x, i) - at, parts);
            });
        const double count = of[1];
        if (count == 0) return {level, before < 0 ? 1 : before};  // the largest, but for rounding
        const T next = static_cast<T>(std::max(level + (of[0] - t) / count, lowest));
        const bool settled = next == level || (before >= 0 && (next < level || count == before));
        if (before < 0 || next > level) level = next;
        if (settled) return {level, count};
        before = count;
    }
}

template <typename T, typename To, typename From, typename Soft>
inline void write_soft(const From* from, int64_t n, const Results& results, const Soft& soft) {
    transform<T, To>(from, n, results, [&](int64_t, const Vec<T>& w) { return soft(w); });
}

// q = 2.
template <typename T, typename To, typename From, typename Soft>
inline double prox_l2(const From* from, const GroupRow& row, const Soft& soft,
                      const Results& results) {
    const auto [norm, exponent] = norm_of(from, row.n, row.lam1);
    double root = norm, t = row.lam;
    if (exponent != 0) {
        root = std::ldexp(norm, exponent);
        t = std::ldexp(t, -exponent);
    }
    if (row.lam == 0) {
        write_soft<T, To>(from, row.n, results, soft);
        return root;
    }
    const NextGroup<From> next(from, row.n);
    if (norm <= t) {
        fill<T, To>(0, row.n, results);
        next.fetch_all(row.n);
        return root;
    }
    const T factor = static_cast<T>(1 - t / norm);
    transform<T, To>(from, row.n, results, [&](int64_t i, const Vec<T>& w) {
        next.fetch(i);
        return soft(w) * factor;
    });
    return root;
}

// Writes the result where it does not depend on the norm, and the root; returns whether that is so.
template <typename T, typename Number, typename Soft>
inline bool is_decided(const Number* from, const GroupRow& row, const Soft& soft,
                       const Magnitudes& known, const Results& results, double& root) {
    const double t = row.lam;
    if (t != 0 && (known.sum != known.sum || t != t)) {
        root = kNan<double>;
        fill<T, Number>(kNan<T>, row.n, results);
    } else if (t != 0 && (t == kInfinity<double> || known.largest == 0)) {
        root = 0;
        fill<T, Number>(0, row.n, results);
    } else if (t == 0 || known.largest == kInfinity<double>) {
        root = known.largest;
        write_soft<T, Number>(from, row.n, results, soft);
    } else {
        return false;
    }
    return true;
}

// q = infinity.
template <typename T, typename Soft>
inline double prox_linf(const T* from, const GroupRow& row, const Soft& soft,
                        const Results& results) {
    const Magnitudes known = magnitudes_of<T>(from, row.n, soft);
    double root = 0;
    if (is_decided<T>(from, row, soft, known, results, root)) return root;
    if (known.sum <= row.lam) {
        fill<T, T>(0, row.n, results);
        return 0;
    }
    if (known.sum < kInfinity<double>) {
        const double mean = (known.sum - row.lam) / static_cast<double>(row.n);
        root = water_level<T>(from, row.n, row.lam, std::max(mean, known.largest - row.lam), 0,
                              [&](const Vec<T>& w, int64_t) { return magnitude<T>(soft(w)); })
                   .level;
    } else {  // finite numbers whose sum is not
        const PowerOfTwo<T> scale(static_cast<double>(row.n) * 4);
        const double t = std::ldexp(row.lam, -scale.exponent);
        const double least = std::ldexp(known.largest - row.lam, -scale.exponent);
        const auto smaller_by = [&](const Vec<T>& w, int64_t) {
            return scale.raised(magnitude<T>(soft(w)));
        };
        const double level = water_level<T>(from, row.n, t, least, 0, smaller_by).level;
        root = std::ldexp(level, scale.exponent);
    }
    const Vec<T> level = broadcast<T>(static_cast<T>(root));
    transform<T, T>(from, row.n, results, [&](int64_t, const Vec<T>& w) {
        const Vec<T> u = soft(w);
        return with_sign_of<T>(smaller<T>(magnitude<T>(u), level), u);
    });
    return root;
}

// ||x||_q of the minimiser, 0 where that is 0, for numbers that are divided as `scale` says and t
// has been. `largest`: of the numbers as they are.
template <typename From, typename Soft, typename Roots>
inline double minimiser_norm(const From* from, int64_t n, double q, double t, double largest,
                             const Soft& soft, const PowerOfTwo<typename Roots::T>& scale,
                             Roots& roots) {
    using T = typename Roots::T;
    // Relative to the largest, of which any power is 1.
    const double top = std::ldexp(largest, -scale.exponent);
    const T inverse = static_cast<T>(1 / top);
    const auto [powers] = sums_of<T, 2>(from, n, [&](int64_t, const Vec<T>& w, Vec<T>(&parts)[2]) {
        const DualPowers<T> of = roots.powers(scale.raised(magnitude<T>(soft(w))) * inverse);
        parts[0] += of.q;
        parts[1] += of.conjugate;
    });
    const PowerNorms norms{top * std::pow(powers[0], 1 / q),
                           top * std::pow(powers[1], (q - 1) / q)};
    if (t == 0) return norms.q;
    if (norms.conjugate <= t) return 0;
    constexpr double enough = std::is_same_v<T, double> ? 1e-8 : 1e-4;  // what is left: its square
    return norm_of_minimiser(t, norms, enough, [&](double c) {
        roots.set(c, t);
        const auto add = [&](int64_t i, const Vec<T>& w, Vec<T>(&parts)[2]) {
            const PowerRoots<T> found = roots(i, scale.raised(magnitude<T>(soft(w))));
            parts[0] += found.y * found.gradient;
            parts[1] += found.gradient * found.fall;
        };
        const auto [sums] = sums_of<T, 2>(from, n, add);
        return PowerStep{sums[0] * std::expm1(std::log(sums[0]) / q) / sums[1], sums[0]};
    });
}

// Any other q, by what finds the roots of one.
template <typename Number, typename Roots, typename Soft>
inline double prox_power(const Number* from, const GroupRow& row, const Soft& soft, Roots roots,
                         const Results& results) {
    using T = typename Roots::T;
    const Magnitudes known = magnitudes_of<T>(from, row.n, soft);
    double root = 0;
    const bool decided = is_decided<T>(from, row, soft, known, results, root);
    if (decided && !(root > 0 && root < kInfinity<double>)) return root;
    const PowerOfTwo<T> scale(known.largest);
    const double t = std::ldexp(row.lam, -scale.exponent);
    const double c = minimiser_norm(from, row.n, row.q, t, known.largest, soft, scale, roots);
    if (!decided && c == 0) fill<T, Number>(0, row.n, results);
    if (!decided && c > 0) {
        roots.set(c, t);
        const T by = static_cast<T>(c);
        transform<T, Number>(from, row.n, results, [&](int64_t i, const Vec<T>& w) {
            const Vec<T> u = soft(w), most = scale.raised(magnitude<T>(u));
            const Vec<T> size = smaller<T>(roots(i, most).y * by, most);  // but for rounding it is
            return with_sign_of<T>(scale.lowered(size), u);
        });
    }
    return std::ldexp(c, scale.exponent);
}

template <typename Element, typename From>
__attribute__((noinline)) double prox_l2_of(const GroupRow& row, const Results& results) {
    using T = Computed<Element>;
    return with_soft<T>(row.lam1, [&](const auto& soft) {
        return prox_l2<T, Element>(static_cast<const From*>(row.from), row, soft, results);
    });
}

// Any q but 2, of numbers in the type that is computed in.
template <typename T>
__attribute__((noinline)) double prox_of_passes(const T* from, const GroupRow& row,
                                                const Results& results) {
    const auto by_norm = [&](const auto& soft) {
        if (row.q == kInfinity<double>) return prox_linf<T>(from, row, soft, results);
        if (row.q == 3) return prox_power<T>(from, row, soft, Cubes<T>(), results);
        return prox_power<T>(from, row, soft, ThreeHalves<T>(), results);
    };
    const bool closed = row.q == 3 || row.q == 1.5 || row.q == kInfinity<double>;
    if (closed) return with_soft<T>(row.lam1, by_norm);
    const AnyPower roots(row.q, empty_roots(row.scratch, row.n));
    return prox_power<T>(from, row, Softened<double>(row.lam1), roots, results);
}

template <typename Element>
double prox_group_row(const GroupRow& row, const Results& results) {
    using T = Computed<Element>;
    if (row.q == 2) {
        return row.widened ? prox_l2_of<Element, T>(row, results)
                           : prox_l2_of<Element, Element>(row, results);
    }
    if constexpr (std::is_same_v<Element, T>) {
        return prox_of_passes<T>(static_cast<const T*>(row.from), row, results);
    } else {
        T* const wide = wide_row(row.scratch, row.n, 0);
        const T* from = static_cast<const T*>(row.from);
        if (!row.widened) {
            convert<T, T>(static_cast<const Element*>(row.from), row.n, {wide, false});
            from = wide;
        }
        const double root = prox_of_passes<T>(from, row, {wide, false});
        convert<T, Element>(wide, row.n, results);
        return root;
    }
}
