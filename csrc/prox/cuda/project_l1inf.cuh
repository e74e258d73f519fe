// The kernels that project onto the l1-infinity ball: a block for each problem, whose warps take
// its groups in turn.
//
// A group is cut at mu_g, so that what is above sums to theta; mu_g = 0 where all of it sums to no
// more. Their sum is convex in theta and falls: Newton's steps on it climb from a bound below.
#pragma once

#include "prox/cuda/group_sources.cuh"
#include "prox/cuda/level.cuh"
#include "prox/cuda/prox_group_backward.cuh"
#include "prox/cuda/threshold_gradient.cuh"

namespace lelkern::prox::cuda {

// Blocks of a multiprocessor at least: enough registers for what is computed in T.
template <typename T>
constexpr int kBallBlocks = std::is_same_v<T, double> ? 2 : 1;

// A problem's groups as groups of one tensor: `tensor.lam` is the radius, `roots` are the levels.
struct BallProblems {
    GroupTensor tensor;
    int64_t groups;  // of a problem
    bool vectors;
};

// The groups of one problem, those of this thread's warp.
template <typename T, typename SourceOf>
class WarpGroups {
  public:
    __device__ WarpGroups(const BallProblems& problems, const SourceOf& source, T* keep)
        : problems_(problems),
          source_(source),
          keep_(keep),
          warp_({kWarp, false}),
          block_({kThreads, false}) {}

    // Calls f(members, level) for each group, with its numbers at hand, and where its level lies.
    // All threads of a warp come along.
    template <typename F>
    __device__ void each(const F& f) const {
        for (int64_t g = warp_.number(); g < problems_.groups; g += kThreads / kWarp) {
            const int64_t number = static_cast<int64_t>(blockIdx.x) * problems_.groups + g;
            const Group group = group_of(problems_.tensor.groups, problems_.tensor.numbers, number);
            const Members<T, SourceOf> members(source_, group, warp_, keep_, problems_.vectors);
            members.fetch();
            f(members, static_cast<T*>(problems_.tensor.roots)[number]);
        }
    }

    struct Cut {
        T level;       // mu
        double count;  // of numbers that are not below it
    };

    // In units of 1 / to_unit.
    template <typename MembersOf>
    __device__ Cut cut(const MembersOf& members, double theta, T to_unit) const {
        const auto size = [&](T x) { return magnitude(x) * to_unit; };
        const Totals totals = totals_of(warp_, members, size);
        const bool alive = totals.sum > theta;
        const T level = larger(level_of<T>(warp_, members, size, theta, totals, alive), T(0));
        double count = 0;
        members.each([&](const auto& member) { count += size(member.u) >= level; });
        return {alive ? level : 0, warp_.sum(count)};
    }

    // Of magnitudes in such units, over groups: the sum of the largest, and of all.
    struct Sums {
        double largest, all;
    };
    __device__ Sums sums(T to_unit) const {
        double largest = 0, all = 0;
        each([&](const auto& members, T&) {
            const Totals totals =
                totals_of(warp_, members, [&](T x) { return magnitude(x) * to_unit; });
            largest += totals.largest;
            all += totals.undefined ? Numbers<double>::nan() : totals.sum;
        });
        sum_of_warps(largest, all);
        return {largest, all};
    }

    // Of numbers that each warp has one of.
    __device__ void sum_of_warps(double& x, double& y) const {
        if (warp_.lane() != 0) x = y = 0;
        block_.sum(x, y);
    }

    __device__ const Team& warp() const { return warp_; }

  private:
    const BallProblems& problems_;
    const SourceOf& source_;
    T* const keep_;
    const Team warp_, block_;
};

template <typename T>
__global__ void __launch_bounds__(kThreads, kBallBlocks<T>)
    project_balls_kernel(const __grid_constant__ BallProblems problems) {
    __shared__ T keep[kKept<T>];
    const Source<T, NoStep> source(problems.tensor, 0, NoStep{});
    const WarpGroups<T, Source<T, NoStep>> groups(problems, source, keep);
    const T radius = threshold<T>(problems.tensor.lam, blockIdx.x, 1);
    const auto n = static_cast<double>(problems.tensor.groups.size);
    const auto count = static_cast<double>(problems.groups);
    T to_unit = 1;
    auto sums = groups.sums(to_unit);
    if (sums.all > Numbers<T>::largest) {
        // They may overflow in T: a power of 2 less, which rounds none that matters.
        to_unit = static_cast<T>(::ldexp(1.0, -2 - ::ilogb(n * count)));
        sums = groups.sums(to_unit);
    }
    const double most = static_cast<double>(radius) * to_unit;
    const bool inside = sums.largest <= most;
    const bool valid =
        !is_nan(sums.all) && radius >= 0 && (inside || sums.largest < Numbers<double>::infinity);
    const bool solved = valid && !inside && radius > 0;
    // Two bounds from below: one number of each group is above its level, or all of them are.
    double theta = larger(sums.largest - most, sums.all - n * most) / count;
    bool done = !solved;
    for (bool first = true; !done; first = false) {
        double levels = 0, slopes = 0;
        groups.each([&](const auto& members, T&) {
            const auto cut = groups.cut(members, theta, to_unit);
            levels += cut.level;
            if (cut.level > 0) slopes += 1 / cut.count;
        });
        groups.sum_of_warps(levels, slopes);
        const double next = slopes > 0 ? theta + (levels - most) / slopes : theta;
        // Levels are known to this much.
        const bool climbs =
            (next > theta && levels - most > Numbers<T>::epsilon * most) || (first && next < theta);
        if (climbs) theta = next;
        done = !climbs;
    }
    groups.each([&](const auto& members, T& to) {
        T level = groups.cut(members, theta, to_unit).level / to_unit;
        if (!solved) level = !valid ? Numbers<T>::nan() : inside ? Numbers<T>::infinity : 0;
        members.put([&](const Member<T>& member) -> T {
            if (!valid) return level;
            return magnitude(member.u) > level ? with_sign(level, member.u) : member.u;
        });
        if (groups.warp().lane() == 0) to = level;
    });
}

template <typename T>
__global__ void __launch_bounds__(kThreads, kBallBlocks<T>)
    project_balls_backward_kernel(const __grid_constant__ BallProblems problems,
                                  const ThresholdGradient of_radius) {
    __shared__ T keep[kKept<T>];
    const GradientSource<T> source(problems.tensor, 0);
    const WarpGroups<T, GradientSource<T>> groups(problems, source, keep);
    // Of what is cut, the sum of gradients along its signs, and how many numbers there are.
    struct Along {
        double sum, count;
    };
    const auto along_of = [&](const auto& members, T level) {
        Along along{0, 0};
        members.each([&](const auto& member) {
            if (!(magnitude(member.u) >= level) || level == Numbers<T>::infinity) return;
            along.sum += with_sign(T(1), member.u) * member.g;
            along.count += 1;
        });
        groups.warp().sum(along.sum, along.count);
        return along;
    };
    double means = 0, slopes = 0;
    groups.each([&](const auto& members, const T& level) {
        const Along along = along_of(members, level);
        if (is_nan(level)) means = level;
        if (!(level > 0) || along.count == 0) return;
        means += along.sum / along.count;
        slopes += 1 / along.count;
    });
    groups.sum_of_warps(means, slopes);
    const double of_ball = slopes > 0 ? means / slopes : is_nan(means) ? means : 0;
    groups.each([&](const auto& members, const T& level) {
        const Along along = along_of(members, level);
        const T of_cut = static_cast<T>((along.sum - of_ball) / along.count);
        members.put([&](const Member<T>& member) -> T {
            if (is_nan(level)) return level;
            if (level == 0) return 0;
            const bool cut = magnitude(member.u) >= level && along.count > 0;
            return cut ? with_sign(T(1), member.u) * of_cut : member.g;
        });
    });
    if (threadIdx.x == 0) store_gradient(of_radius, blockIdx.x, static_cast<T>(of_ball));
}

}  // namespace lelkern::prox::cuda
