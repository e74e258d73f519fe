// The minimiser x of 1/2 ||x - u||^2 + t ||x||_q of one group u >= 0, for 1 < q < infinity but 2.
// With c = ||x||_q and y = x / c,
//
//     c y_i + t y_i^(q-1) = u_i for every i, and sum y_i^q = 1,
//
// unless ||u||_q' <= t, q' = q / (q - 1), where x is 0. Included by foreach_isa.h once for each
// instruction set, inside that set's namespace.

// Of a vector of numbers: y, y^(q-1), and how fast y falls as c grows.
template <typename T>
struct PowerRoots {
    Vec<T> y, gradient, fall;
};

// u^q and u^q'.
template <typename T>
struct DualPowers {
    Vec<T> q, conjugate;
};

template <typename T>
inline Vec<T> at_least_tiny(const Vec<T>& x) {
    return larger<T>(x, broadcast<T>(std::numeric_limits<T>::min()));
}

// 1 / x for normal numbers, of floats to 11 bits or more, as slopes need: Newton's last step is at
// most 1e-4 of what it ends at, so that 2^-11 of it is half of a float's last place.
template <typename T>
inline Vec<T> rough_inverse(const Vec<T>& x) {
#if defined(__x86_64__)
    if constexpr (std::is_same_v<T, float>) {
#if defined(LELKERN_HAS_AVX512)
        return (Vec<T>)_mm512_maskz_rcp14_ps(0xffff, (__m512)x);
#elif LELKERN_VECTOR_BYTES == 32
        return (Vec<T>)_mm256_rcp_ps((__m256)x);
#else
        return (Vec<T>)_mm_rcp_ps((__m128)x);
#endif
    }
#endif
    return T(1) / x;
}

// q = 3: y is the root of t y^2 + c y = u.
template <typename Number>
class Cubes {
  public:
    using T = Number;
    void set(double c, double t) {
        c_ = broadcast<T>(static_cast<T>(c));
        square_ = c_ * c_;
        four_t_ = broadcast<T>(static_cast<T>(4 * t));
    }

    PowerRoots<T> operator()(int64_t, const Vec<T>& u) const {
        const Vec<T> root = at_least_tiny<T>(square_root<T>(square_ + four_t_ * u));
        const Vec<T> y = (u + u) / (c_ + root);
        return {y, y * y, y * rough_inverse<T>(root)};
    }

    static DualPowers<T> powers(const Vec<T>& u) { return {u * u * u, u * square_root<T>(u)}; }

  private:
    Vec<T> c_, square_, four_t_;
};

// q = 3/2: the square root of y is that of c z^2 + t z = u.
template <typename Number>
class ThreeHalves {
  public:
    using T = Number;
    void set(double c, double t) {
        t_ = broadcast<T>(static_cast<T>(t));
        square_ = t_ * t_;
        four_c_ = broadcast<T>(static_cast<T>(4 * c));
    }

    PowerRoots<T> operator()(int64_t, const Vec<T>& u) const {
        const Vec<T> root = at_least_tiny<T>(square_root<T>(square_ + four_c_ * u));
        const Vec<T> z = (u + u) / (t_ + root), y = z * z;
        return {y, z, (y + y) * z * rough_inverse<T>(root)};
    }

    static DualPowers<T> powers(const Vec<T>& u) { return {u * square_root<T>(u), u * u * u}; }

  private:
    Vec<T> t_, square_, four_c_;
};

// Any other q, in double. With e the larger of q - 1 and 1 / (q - 1), and z = y or y^(q-1), both
// cases ask for the root of a z + b z^e = u, convex and increasing.
class AnyPower {
  public:
    using T = double;

    // `roots`: room for those of the group, from where the next search begins; 0 at first.
    AnyPower(double q, T* roots)
        : q_(q), flat_(q > 2), e_(flat_ ? q - 1 : 1 / (q - 1)), roots_(roots) {}

    void set(double c, double t) {
        c_ = c;
        t_ = t;
    }

    PowerRoots<T> operator()(int64_t i, const Vec<T>& u) const {
        const double a = flat_ ? c_ : t_, b = flat_ ? t_ : c_;
        // At most 2^(1/e) times the root, or twice it, whichever is less.
        const Vec<T> highest = smaller<T>(u / a, power(u / b, 1 / e_));
        Vec<T> z = load<T>(roots_ + i);
        z = z > 0 ? smaller<T>(z, highest) : highest;
        Vec<T> high{};
        const double enough = std::max(kEnough / e_, 4 * std::numeric_limits<double>::epsilon());
        for (int k = 0; k < kMost; ++k) {
            const Vec<T> there = at_least_tiny<T>(z);
            high = power(there, e_);
            const Vec<T> slope = a + b * e_ * high / there;
            const Vec<T> next = smaller<T>(
                larger<T>(there - (a * there + b * high - u) / slope, Vec<T>{}), highest);
            const Vec<T> moved = next - there;
            high += high * (e_ * moved / there);
            z = next;
            const auto waits = (magnitude<T>(moved) > enough * there) & (z > kTiny);
            if (!any_lane<T>(waits)) break;
        }
        // A large exponent multiplies the rounding error of z; what is left of u has its own.
        const Vec<T> rest = (u - a * z) / b;
        high = rest * (b * e_) > u ? rest : high;
        high = u > 0 ? high : Vec<T>{};
        z = u > 0 ? z : Vec<T>{};
        store<T>(roots_ + i, z);
        const Vec<T> y = flat_ ? z : high, gradient = flat_ ? high : z;
        const Vec<T> slope = c_ * y + t_ * (q_ - 1) * gradient;
        return {y, gradient, y * y / at_least_tiny<T>(slope)};
    }

    DualPowers<T> powers(const Vec<T>& u) const { return {power(u, q_), power(u, q_ / (q_ - 1))}; }

  private:
    static constexpr int kMost = 60;
    static constexpr double kEnough = 1e-8;  // of a power: what is left is its square
    static constexpr double kTiny = std::numeric_limits<double>::min();

    Vec<T> power(const Vec<T>& x, double exponent) const {
        return exp2_of_any<T>(log2_(x) * exponent);
    }

    const RatioToLargest<T> log2_{1};
    const double q_;
    const bool flat_;
    const double e_;
    double c_ = 0, t_ = 0;
    T* const roots_;
};

struct PowerNorms {
    double q, conjugate;  // ||u||_q, ||u||_q'
};

// How far c is from what makes sum y^q = 1, by a step of Newton's method for ||y||_q^-1 = 1, which
// is nearly linear in c, and is so for q = 2; and that sum.
struct PowerStep {
    double step, sum;
};

// c, given 0 < t < ||u||_q'. `step_at(c)`: from there.
template <typename F>
inline double norm_of_minimiser(double t, const PowerNorms& norms, double enough,
                                const F& step_at) {
    double low = 0, high = norms.q;
    double c = norms.q * (1 - t / norms.conjugate);  // exact if all u are equal, or 0
    if (!(c > 0)) c = norms.q * std::numeric_limits<double>::epsilon();
    double before = kInfinity<double>;
    for (int k = 0; k < 100; ++k) {
        const PowerStep at = step_at(c);
        const double moved = std::fabs(at.step);
        if (moved <= enough * c) return c + at.step;
        // No nearer than before: in the rounding errors of the sum.
        if (k > 4 && moved >= before && moved <= 1e-3 * (c + t)) return c;
        before = moved;
        (at.sum > 1 ? low : high) = c;
        const double next = c + at.step;
        const bool inside = next > low && next < high;
        c = inside ? next : low > 0 ? std::sqrt(low) * std::sqrt(high) : high / 16;
    }
    return c;
}
