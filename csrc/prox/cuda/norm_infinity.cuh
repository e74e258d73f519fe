// The prox of t ||x||_inf: the largest numbers of a group are cut at one level.
#pragma once

#include "prox/cuda/level.cuh"
#include "prox/cuda/solved.cuh"

namespace lelkern::prox::cuda {

struct NormInfinity {
    template <typename T>
    class Prox {
      public:
        template <typename MembersOf>
        __device__ Prox(const Team& team, const MembersOf& members, T t, const NormInfinity&) {
            const Totals sizes = totals_of(team, members, [](T u) { return magnitude(u); });
            const bool valid = (!sizes.undefined && t >= 0) || t == 0;
            const bool infinite = sizes.largest == Numbers<double>::infinity;
            // Sums of doubles would overflow: they are in units of the largest.
            T unit = 1;
            if (std::is_same_v<T, double> && sizes.largest > 0 && !infinite) {
                unit = static_cast<T>(sizes.largest);
            }
            const auto size = [&](T u) { return magnitude(u) / unit; };
            const Totals totals =
                std::is_same_v<T, double> ? totals_of(team, members, size) : sizes;
            const T share = t / unit;
            const bool alive = totals.sum > share;
            // What is infinite, and t is not, stays; and so does all for t = 0.
            const bool cut = valid && alive && t > 0 && !infinite;
            same_ = t == 0;
            const T level = level_of<T>(team, members, size, share, totals, cut) * unit;
            level_ = cut ? larger(level, T(0)) : static_cast<T>(sizes.largest);
            if (!alive) level_ = 0;
            if (!valid) level_ = Numbers<T>::nan();
        }

        // The level, 0 where nothing is left.
        __device__ T root() const { return level_; }

        __device__ T operator()(T u) const {
            if (same_) return u;
            if (is_nan(level_)) return level_;
            return magnitude(u) > level_ ? with_sign(level_, u) : u;
        }

      private:
        T level_;
        bool same_;
    };

    // What is cut has the mean of the gradients along its signs.
    template <typename T>
    class Gradient {
      public:
        template <typename MembersOf>
        __device__ Gradient(const Team& team, const MembersOf& members, T t, T root,
                            const NormInfinity&)
            : level_(root), of_(t, root, root > 0) {
            double along = 0, count = 0;
            if (of_.solved()) {
                members.each([&](const auto& member) {
                    if (!(magnitude(member.u) >= level_)) return;
                    along += with_sign(T(1), member.u) * member.g;
                    count += 1;
                });
            }
            team.sum(along, count);
            along_ = count > 0 ? static_cast<T>(along / count) : 0;
        }

        __device__ bool undefined() const { return of_.undefined(); }
        __device__ T of_threshold() const { return of_.of_threshold(along_); }

        __device__ T operator()(T u, T g) const {
            if (!of_.moves()) return of_.unmoved(g);
            return magnitude(u) >= level_ ? with_sign(T(1), u) * along_ : g;
        }

      private:
        const T level_;
        const Solved<T> of_;
        T along_;
    };
};

}  // namespace lelkern::prox::cuda
