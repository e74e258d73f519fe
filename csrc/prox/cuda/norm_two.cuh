// The prox of t ||x||_2: a group shrinks as a whole.
#pragma once

#include "prox/cuda/level.cuh"
#include "prox/cuda/solved.cuh"

namespace lelkern::prox::cuda {

// ||u||, which neither overflows nor underflows on the way: floats are squared as doubles.
template <typename MembersOf>
__device__ double euclidean_norm(const Team& team, const MembersOf& members, float) {
    double squares = 0;
    members.each([&](const auto& member) {
        const double u = member.u;
        squares += u * u;
    });
    return ::sqrt(team.sum(squares));
}

template <typename MembersOf>
__device__ double euclidean_norm(const Team& team, const MembersOf& members, double) {
    const Totals totals = totals_of(team, members, [](double u) { return magnitude(u); });
    const double largest = totals.largest;
    const bool plain = largest > 0 && largest < Numbers<double>::infinity;
    const double unit = plain ? largest : 1;
    double squares = 0;
    members.each([&](const auto& member) {
        const double u = member.u / unit;
        squares += u * u;
    });
    const double norm = unit * ::sqrt(team.sum(squares));
    if (totals.undefined) return Numbers<double>::nan();
    return plain ? norm : larger(largest, 0.0);
}

struct NormTwo {
    template <typename T>
    class Prox {
      public:
        template <typename MembersOf>
        __device__ Prox(const Team& team, const MembersOf& members, T t, const NormTwo&) {
            const double norm = euclidean_norm(team, members, T(0));
            root_ = static_cast<T>(norm);
            factor_ = root_ > t ? static_cast<T>(1 - t / norm) : 0;
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
            : root_(root), ratio_(t / root), of_(t, root, root > t) {
            double along = 0;
            if (of_.solved()) {
                members.each([&](const auto& member) { along += member.u / root_ * member.g; });
            }
            along_ = static_cast<T>(team.sum(along));
        }

        __device__ bool undefined() const { return of_.undefined(); }
        __device__ T of_threshold() const { return of_.of_threshold(along_); }

        __device__ T operator()(T u, T g) const {
            if (!of_.moves()) return of_.unmoved(g);
            return (1 - ratio_) * g + ratio_ * along_ * (u / root_);
        }

      private:
        const T root_, ratio_;
        const Solved<T> of_;
        T along_;
    };
};

}  // namespace lelkern::prox::cuda
