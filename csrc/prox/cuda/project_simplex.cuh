// The kernels that project rows: a team of threads for each.
//
// With m the largest of a row and s = m - theta, y = s - (m - x) where that is positive: of numbers
// that are large beside the radius nothing is lost.
#pragma once

#include "prox/cuda/group_sources.cuh"
#include "prox/cuda/group_table.cuh"
#include "prox/cuda/level.cuh"
#include "prox/cuda/prox_group_backward.cuh"
#include "prox/cuda/threshold_gradient.cuh"

namespace lelkern::prox::cuda {

// Rows as groups whose threshold is the radius, and whose root theta; and what of them is
// projected: numbers, or what is left of them without signs.
struct RowProjection {
    GroupRow rows;
    bool l1;
};

// What a row is cut at.
template <typename T>
class RowCut {
  public:
    template <typename MembersOf>
    __device__ RowCut(const Team& team, const MembersOf& members, T radius, bool l1) : l1_(l1) {
        const Totals totals = totals_of(team, members, [&](T x) { return size(x); });
        most_ = static_cast<T>(totals.largest);
        inside_ = l1 && totals.sum <= radius;
        valid_ = !totals.undefined && radius >= 0 && (inside_ || radius < Numbers<T>::infinity) &&
                 totals.largest > -Numbers<double>::infinity;
        const double below_largest =
            totals.sum - static_cast<double>(members.size()) * totals.largest;
        // Of sums that overflow nothing is known but that no number is above the largest.
        const bool known = below_largest <= 0;
        // By which the radius is multiplied so that so many times as much does not overflow.
        const T small = T(0.25) / static_cast<T>(members.size() + 1);
        const T unit = radius > small * Numbers<T>::largest ? small : 1;
        const Totals below{known ? below_largest * unit : -Numbers<double>::infinity, 0, false};
        const T level = level_of<T>(
            team, members, [&](T x) { return -below_most(x) * unit; }, radius * unit, below,
            valid_ && !inside_);
        depth_ = -level / unit;
    }

    __device__ bool valid() const { return valid_; }
    __device__ bool inside() const { return inside_; }  // the ball: nothing is cut
    __device__ T theta() const { return most_ - depth_; }

    // What is left of the size of x.
    __device__ T left(T x) const { return larger(depth_ - below_most(x), T(0)); }

    __device__ T sign(T x) const { return l1_ ? with_sign(T(1), x) : 1; }

  private:
    __device__ T size(T x) const { return l1_ ? magnitude(x) : x; }

    // 0 of infinity, which shares the place of the largest.
    __device__ T below_most(T x) const {
        const T own = size(x);
        return own == most_ ? 0 : most_ - own;
    }

    const bool l1_;
    T most_, depth_;
    bool valid_, inside_;
};

template <typename T>
__global__ void __launch_bounds__(kThreads, 3)
    project_rows_kernel(const __grid_constant__ RowProjection projection) {
    __shared__ T keep[kKept<T>];
    const GroupRow& row = projection.rows;
    const Team team(row.shape);
    const int64_t block = blockIdx.x;
    const Group group = group_of(row.tensor.groups, row.tensor.numbers,
                                 block * row.shape.per_block() + team.number());
    const T radius = threshold<T>(row.tensor.lam, group.number, 1);
    const Source<T, NoStep> source(row.tensor, 0, NoStep{});
    const Members<T, Source<T, NoStep>> members(source, group, team, keep, row.vectors);
    members.fetch();
    const RowCut<T> cut(team, members, radius, projection.l1);
    members.put([&](const Member<T>& member) -> T {
        if (!cut.valid()) return Numbers<T>::nan();
        return cut.inside() ? member.u : cut.left(member.u) * cut.sign(member.u);
    });
    if (team.lane() != 0 || group.number < 0) return;
    static_cast<T*>(row.tensor.roots)[group.number] = !cut.valid()   ? Numbers<T>::nan()
                                                      : cut.inside() ? 0
                                                                     : cut.theta();
}

// Of results, which say by their signs what was cut, and their gradients.
template <typename T>
__global__ void __launch_bounds__(kThreads, 3)
    project_rows_backward_kernel(const __grid_constant__ RowProjection projection,
                                 const ThresholdGradient of_radius) {
    __shared__ T keep[kKept<T>];
    const GroupRow& row = projection.rows;
    const Team team(row.shape);
    const int64_t block = blockIdx.x;
    const Group group = group_of(row.tensor.groups, row.tensor.numbers,
                                 block * row.shape.per_block() + team.number());
    const T theta = group.number < 0 ? 0 : static_cast<const T*>(row.tensor.roots)[group.number];
    const GradientSource<T> source(row.tensor, 0);
    const Members<T, GradientSource<T>> members(source, group, team, keep, row.vectors);
    members.fetch();
    double along = 0, count = 0;
    members.each([&](const Member<T>& member) {
        if (member.u == 0) return;
        along += with_sign(T(1), member.u) * member.g;
        count += 1;
    });
    team.sum(along, count);
    const bool inside = projection.l1 && theta == 0;
    const T mean = inside || count == 0 ? 0 : static_cast<T>(along / count);
    members.put([&](const Member<T>& member) -> T {
        if (is_nan(theta)) return theta;
        if (inside) return member.g;
        return member.u == 0 ? 0 : member.g - with_sign(T(1), member.u) * mean;
    });
    if (team.lane() != 0 || group.number < 0) return;
    store_gradient(of_radius, group.number, is_nan(theta) ? theta : mean);
}

}  // namespace lelkern::prox::cuda
