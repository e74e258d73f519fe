// The level that numbers are cut at, so that what is above it sums to a given number.
#pragma once

#include "prox/cuda/prox_numbers.cuh"
#include "prox/cuda/team.cuh"

namespace lelkern::prox::cuda {

// Of the numbers of a group, as size(u) says them.
struct Totals {
    double sum;
    double largest;  // -infinity of none
    bool undefined;  // whether one is nan, which `largest` leaves out
};

template <typename MembersOf, typename Size>
__device__ Totals totals_of(const Team& team, const MembersOf& members, const Size& size) {
    double sum = 0, largest = -Numbers<double>::infinity, undefined = 0;
    members.each([&](const auto& member) {
        const double x = size(member.u);
        sum += x;
        largest = larger(largest, x);
        undefined += is_nan(x);
    });
    team.sum(sum, undefined);
    return {sum, team.largest(largest), undefined > 0};
}

// The theta with sum_i max(size_i - theta, 0) = t > 0, for a finite t and finite sizes: Newton's
// steps (Michelot 1986). The sum is convex in theta and falls, so that from below they only climb.
// `alive`: whether the team asks for it; all threads have to call.
template <typename T, typename MembersOf, typename Size>
__device__ T level_of(const Team& team, const MembersOf& members, const Size& size, double t,
                      const Totals& totals, bool alive) {
    // Two bounds from below: one number, or all of them, are above the level.
    T theta = static_cast<T>(
        larger(totals.largest - t, (totals.sum - t) / static_cast<double>(members.size())));
    bool done = !alive;
    for (bool first = true; team.any(!done); first = false) {
        T own = 0;
        int64_t count = 0;
        members.each([&](const auto& member) {
            const T x = size(member.u);
            if (x > theta) {
                own += x - theta;
                ++count;
            }
        });
        double excess = own, above = static_cast<double>(count);
        team.sum(excess, above);
        // None is above a level that was rounded up to the largest.
        const T next = above > 0 ? static_cast<T>(theta + (excess - t) / above) : theta;
        // A start that was rounded up is left downwards.
        const bool climbs = next > theta || (first && next < theta);
        if (!done && climbs) theta = next;
        done = done || !climbs;
    }
    // Not above the largest, so that there is always one to be cut.
    return smaller(theta, static_cast<T>(totals.largest));
}

}  // namespace lelkern::prox::cuda
