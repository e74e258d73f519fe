// The prox of t ||x||_q for any q in (1, infinity).
//
// In units of the largest number of a group: with c = ||x||_q and y = x / c, whose norm is 1,
//
//     c y_i + t y_i^(q-1) = |u_i|,    sum_i y_i^q = 1,
//
// of which the first has one root y_i >= 0 for every c, and the second one c if the dual norm
// ||u||_q' with q' = q / (q - 1) is above t; otherwise x = 0.
#pragma once

#include "prox/cuda/level.cuh"
#include "prox/cuda/solved.cuh"

namespace lelkern::prox::cuda {

template <typename T>
class Exponents {
  public:
    __device__ explicit Exponents(double q)
        : q_(static_cast<T>(q)),
          dual_(static_cast<T>(q / (q - 1))),
          less_(static_cast<T>(q - 1)),
          above_(q >= 2),
          degree_(static_cast<T>(q >= 2 ? q - 1 : 1 / (q - 1))),
          inverse_(static_cast<T>(q >= 2 ? 1 / (q - 1) : q - 1)) {}

    struct Root {
        T y, p;  // p = y^(q-1)
    };

    // Of c y + t y^(q-1) = u, for u in (0, 1], c > 0 and t > 0. With z, the one of y and p that has
    // the smaller power, it is a z + b z^r = u with r >= 1: convex in z, so that Newton's steps
    // from above only fall. z is at most 2 times less than where they start.
    __device__ Root root_of(T u, T c, T t) const {
        const T a = above_ ? c : t, b = above_ ? t : c, r = degree_;
        T z, power_of_z;
        if (r == 2) {
            z = 2 * u / (a + square_root(a * a + 4 * b * u));
            power_of_z = z * z;
        } else {
            z = smaller(u / a, power(u / b, inverse_));
            constexpr int most = 30;
#pragma unroll 1
            for (int step = 0; step < most; ++step) {
                const T rest = b * power(z, r);
                const T next = z - z * (a * z + rest - u) / (a * z + r * rest);
                const bool settled = !(next < z * (1 - 4 * Numbers<T>::epsilon));
                if (next > 0) z = next;
                if (settled) break;
            }
            // From the power of z, or from what z leaves of u: whichever makes less of its error.
            power_of_z = power(z, r);
            if (r * b * power_of_z > u) power_of_z = larger((u - a * z) / b, T(0));
        }
        return above_ ? Root{z, power_of_z} : Root{power_of_z, z};
    }

    // s = dy/du times c, of a root: 1 / (1 + t (q-1) / c y^(q-2)); and 1 - s.
    struct Slope {
        T s, rest;
    };
    __device__ Slope slope(const Root& of, T c, T t) const {
        const T linear = c * of.y, bent = t * less_ * of.p, all = linear + bent;
        if (all > 0) return {linear / all, bent / all};
        return above_ ? Slope{1, 0} : Slope{0, 1};
    }

    __device__ T q() const { return q_; }
    __device__ T dual() const { return dual_; }
    __device__ bool above() const { return above_; }
    // By how much the q-norm of n numbers is at most less than their q'-norm, as a power of n, for
    // q >= 2, and more for q < 2.
    __device__ double gap() const {
        return 1 / static_cast<double>(q_) - 1 / static_cast<double>(dual_);
    }

  private:
    const T q_, dual_, less_;  // less: q - 1
    const bool above_;         // q >= 2
    const T degree_, inverse_;
};

struct NormQ {
    double q;

    template <typename T>
    class Prox {
      public:
        template <typename MembersOf>
        __device__ Prox(const Team& team, const MembersOf& members, T t, const NormQ& norm)
            : exponents_(norm.q) {
            const Totals totals = totals_of(team, members, [](T u) { return magnitude(u); });
            const bool finite = totals.largest < Numbers<double>::infinity;
            unit_ = totals.largest > 0 && finite ? static_cast<T>(totals.largest) : 1;
            t_ = t / unit_;
            double powers = 0, dual_powers = 0;
            members.each([&](const auto& member) {
                const T u = magnitude(member.u) / unit_;
                powers += power(u, exponents_.q());
                dual_powers += power(u, exponents_.dual());
            });
            team.sum(powers, dual_powers);
            const double most = ::pow(powers, 1 / static_cast<double>(exponents_.q()));
            const double dual = ::pow(dual_powers, 1 / static_cast<double>(exponents_.dual()));
            const bool alive = dual > t_ && t < Numbers<T>::infinity;
            valid_ = (!totals.undefined && t >= 0) || t == 0;
            same_ = t == 0 || (alive && !finite);
            dead_ = !same_ && !alive;
            const bool solved = valid_ && alive && !same_;
            const auto n = static_cast<double>(members.size());
            c_ = solve(team, members, solved, most, dual, n);
            if (same_) {
                root_ = finite ? static_cast<T>(most) * unit_ : Numbers<T>::infinity;
                if (totals.largest <= 0) root_ = 0;
            } else {
                root_ = dead_ ? 0 : c_ * unit_;
            }
            if (!valid_) root_ = Numbers<T>::nan();
        }

        // ||x||_q, and the same in units of the largest number.
        __device__ T root() const { return root_; }
        __device__ T root_in_units() const { return c_; }

        __device__ T operator()(T u) const {
            if (!valid_) return Numbers<T>::nan();
            if (dead_) return 0;
            const T size = magnitude(u) / unit_;
            if (same_ || size == 0) return u;
            return with_sign(c_ * exponents_.root_of(size, c_, t_).y * unit_, u);
        }

      private:
        // c = ||x||_q between a bound and `most`, ||u||_q: Newton's steps on ||y||_q^-1 or, for
        // q < 2, ||y||_q^-(q-1), which is all but linear in c, and concave, so that they only
        // climb.
        template <typename MembersOf>
        __device__ T solve(const Team& team, const MembersOf& members, bool solved, double most,
                           double dual, double n) const {
            const double gap = exponents_.gap();
            const double direct = most - t_ * (exponents_.above() ? 1 : ::pow(n, gap));
            const double by_dual = (dual - t_) * (exponents_.above() ? ::pow(n, gap) : 1);
            double low = larger(direct, by_dual), high = most;
            const double smaller_power =
                1 / static_cast<double>(larger(exponents_.q(), exponents_.dual()));
            const double steepness = smaller(T(1), exponents_.q() - 1);
            T c = static_cast<T>(low);
            bool done = !solved;
            constexpr int most_steps = 100;
#pragma unroll 1
            for (int step = 0; step < most_steps && team.any(!done); ++step) {
                double powers = 0, slopes = 0;  // sum y^q, and what it falls by over q, times c
                if (!done) {
                    members.each([&](const auto& member) {
                        const T u = magnitude(member.u) / unit_;
                        if (u == 0) return;
                        const auto root = exponents_.root_of(u, c, t_);
                        const T y_q = root.y * root.p;
                        powers += y_q;
                        slopes += y_q * exponents_.slope(root, c, t_).s;
                    });
                }
                team.sum(powers, slopes);
                if (done) continue;
                const double change =
                    c * (::pow(powers, smaller_power) - 1) * powers / (steepness * slopes);
                (powers > 1 ? low : high) = c;
                double next = c + change;
                if (!(next >= low && next <= high)) next = (low + high) / 2;
                // u and so c is known to this much.
                const double noise = 4 * Numbers<T>::epsilon * (c + t_);
                done = !(magnitude(change) > noise) || static_cast<T>(next) == c;
                c = static_cast<T>(next);
            }
            return c;
        }

        const Exponents<T> exponents_;
        T unit_, t_, c_, root_;  // t and c in units of the largest number
        bool valid_, same_, dead_;
    };

    // With p = y^(q-1) and the slopes s of y: s g + (1 - s) y m, where m = sum p s g / sum p s y.
    template <typename T>
    class Gradient {
      public:
        template <typename MembersOf>
        __device__ Gradient(const Team& team, const MembersOf& members, T t, T root,
                            const NormQ& norm)
            : exponents_(norm.q), of_(t, root, root > 0) {
            const Totals totals = totals_of(team, members, [](T u) { return magnitude(u); });
            unit_ = of_.solved() ? static_cast<T>(totals.largest) : 1;
            c_ = root / unit_;
            t_ = t / unit_;
            const bool lost = of_.solved() && root < Numbers<T>::smallest;  // digits
            if (team.any(lost)) {
                const Prox<T> prox(team, members, t, norm);
                if (lost) c_ = prox.root_in_units();
            }
            double along = 0, whole = 0;
            if (of_.solved()) {
                members.each([&](const auto& member) {
                    const T u = magnitude(member.u) / unit_;
                    if (u == 0) return;
                    const auto root_of_u = exponents_.root_of(u, c_, t_);
                    const T bent = root_of_u.p * exponents_.slope(root_of_u, c_, t_).s;
                    along += bent * (with_sign(T(1), member.u) * member.g);
                    whole += bent * root_of_u.y;
                });
            }
            team.sum(along, whole);
            along_ = whole > 0 ? static_cast<T>(along / whole) : 0;
        }

        __device__ bool undefined() const { return of_.undefined(); }
        __device__ T of_threshold() const { return of_.of_threshold(along_); }

        __device__ T operator()(T u, T g) const {
            if (!of_.moves()) return of_.unmoved(g);
            const T size = magnitude(u) / unit_;
            if (size == 0) return exponents_.above() ? g : 0;
            const auto root_of_u = exponents_.root_of(size, c_, t_);
            const auto slope = exponents_.slope(root_of_u, c_, t_);
            return slope.s * g + slope.rest * root_of_u.y * along_ * with_sign(T(1), u);
        }

      private:
        const Exponents<T> exponents_;
        const Solved<T> of_;
        T unit_, c_, t_, along_;
    };
};

}  // namespace lelkern::prox::cuda
