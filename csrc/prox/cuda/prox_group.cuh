// The kernels that shrink groups: a team of threads for each, blocks for whole numbers of teams,
// whatever the types and groups of the other tensors in the list.
#pragma once

#include "prox/cuda/group_sources.cuh"
#include "prox/cuda/group_table.cuh"
#include "prox/cuda/norm_infinity.cuh"
#include "prox/cuda/norm_q.cuh"
#include "prox/cuda/norm_two.cuh"

namespace lelkern::prox::cuda {

template <typename T, typename Norm, typename Step, int capacity>
__global__ void __launch_bounds__(kThreads, 2)
    shrink_groups_kernel(const __grid_constant__ GroupTable<capacity> table, const Scale scale,
                         const __grid_constant__ Step step, const Norm norm) {
    __shared__ T keep[kKept<T>];
    const GroupRow& row = table.row_of(blockIdx.x);
    const Team team(row.shape);
    const int64_t block = blockIdx.x - row.first_block;
    const Group group = group_of(row.tensor.groups, row.tensor.numbers,
                                 block * row.shape.per_block() + team.number());
    const double by = scale.tensor == nullptr ? scale.value : *scale.tensor;
    const T lam1 = threshold<T>(row.tensor.lam1, group.number, by);
    const T lam = threshold<T>(row.tensor.lam, group.number, by);
    const Source<T, Step> source(row.tensor, lam1, step);
    const Members<T, Source<T, Step>> members(source, group, team, keep, row.vectors);
    members.fetch();
    const typename Norm::template Prox<T> prox(team, members, lam, norm);
    members.put([&](const Member<T>& member) { return prox(member.u); });
    if (row.tensor.roots != nullptr && team.lane() == 0 && group.number >= 0) {
        static_cast<T*>(row.tensor.roots)[group.number] = prox.root();
    }
}

// listed[i] = 1 for every number that is in a group.
__global__ void __launch_bounds__(kThreads)
    mark_listed(const int64_t* indices, int64_t entries, int64_t numbers, uint8_t* listed) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (i >= entries) return;
    const int64_t index = indices[i];
    if (index >= 0 && index < numbers) listed[index] = 1;
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    step_unlisted_kernel(const __grid_constant__ GroupTensor tensor,
                         const __grid_constant__ SgdStep step, const uint8_t* listed) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (i >= tensor.numbers || listed[i] != 0) return;
    Source<T, SgdStep>(tensor, 0, step).step_at(i);
}

}  // namespace lelkern::prox::cuda
