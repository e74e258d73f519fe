// The prox of t ||x||_2: a group shrinks as a whole.
#pragma once

#include "prox/cuda/level.cuh"
#include "prox/cuda/solved.cuh"

namespace lelkern::prox::cuda {

// ||u|| as the product of both: neither overflows nor underflows.
struct EuclideanNorm {
    double unit, in_units;

    __device__ double value() const { return unit * in_units; }
};

// Floats are squared as doubles, which hold all of their squares.
template <typename MembersOf>
__device__ EuclideanNorm euclidean_norm(const Team& team, const MembersOf& members, float) {
    double squares = 0;
    members.each([&](const auto& member) {
        const double u = member.u;
        squares += u * u;
    });
    return {1, ::sqrt(team.sum(squares))};
}

template <typename MembersOf>
__device__ EuclideanNorm euclidean_norm(const Team& team, const MembersOf& members, double) {
    const Totals totals = totals_of(team, members, [](double u) { return magnitude(u); });
    const double largest = totals.largest;
    const bool plain = largest > 0 && largest < Numbers<double>::infinity;
    const double unit = plain ? largest : 1;
    double squares = 0;
    members.each([&](const auto& member) {
        const double u = member.u / unit;
        squares += u * u;
    });
    const double in_units = ::sqrt(team.sum(squares));
    if (totals.undefined) return {1, Numbers<double>::nan()};
    return {unit, plain ? in_units : larger(largest, 0.0)};
}

// u / ||u||, of subnormal and of huge numbers too.
template <typename T>
class Direction {
  public:
    Direction() = default;
    __device__ explicit Direction(const EuclideanNorm& norm) {
        constexpr int most = Numbers<T>::largest_exponent;
        const int exponent = ::ilogb(norm.unit) + ::ilogb(norm.in_units);
        to_unit_ = static_cast<T>(::ldexp(1.0, -larger(-most, smaller(exponent, most))));
        inverse_ = static_cast<T>(1 / (norm.unit * to_unit_ * norm.in_units));
    }

    __device__ T operator()(T u) const { return u * to_unit_ * inverse_; }

  private:
    T to_unit_ = 1, inverse_ = 0;
};

struct NormTwo {
    template <typename T>
    class Prox {
      public:
        template <typename MembersOf>
        __device__ Prox(const Team& team, const MembersOf& members, T t, const NormTwo&) {
            const EuclideanNorm norm = euclidean_norm(team, members, T(0));
            root_ = static_cast<T>(norm.value());
            factor_ = root_ > t ? static_cast<T>(1 - t / norm.unit / norm.in_units) : 0;
            if (is_nan(root_) || !(t >= 0)) factor_ = root_ = Numbers<T>::nan();
            if (t == 0) factor_ = 1;
        }

        // ||u||.
        __device__ T root() const { return root_; }

        // Not for what is infinite 0 times it.
        __device__ T operator()(T u) const { return factor_ == 0 ? 0 : factor_ * u; }

      private:
        T root_, factor_;
    };

    // For alive groups, with y = u / n, n = ||u||: (1 - t / n) g + t / n (y . g) y.
    template <typename T>
    class Gradient {
      public:
        template <typename MembersOf>
        __device__ Gradient(const Team& team, const MembersOf& members, T t, T root, const NormTwo&)
            : of_(t, root, root > t) {
            EuclideanNorm norm{1, root};
            const bool lost = of_.solved() && root < Numbers<T>::smallest;  // digits
            if (team.any(lost)) {
                const EuclideanNorm exact = euclidean_norm(team, members, T(0));
                if (lost) norm = exact;
            }
            if (of_.solved()) direction_ = Direction<T>(norm);
            ratio_ = direction_(t);
            double along = 0;
            if (of_.solved()) {
                members.each([&](const auto& member) { along += direction_(member.u) * member.g; });
            }
            along_ = static_cast<T>(team.sum(along));
        }

        __device__ bool undefined() const { return of_.undefined(); }
        __device__ T of_threshold() const { return of_.of_threshold(along_); }

        __device__ T operator()(T u, T g) const {
            if (!of_.moves()) return of_.unmoved(g);
            return (1 - ratio_) * g + ratio_ * along_ * direction_(u);
        }

      private:
        const Solved<T> of_;
        Direction<T> direction_;
        T ratio_, along_;
    };
};

}  // namespace lelkern::prox::cuda
