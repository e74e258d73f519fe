// The kernel of the gradients of shrunk groups.
#pragma once

#include "prox/cuda/group_sources.cuh"
#include "prox/cuda/group_table.cuh"
#include "prox/cuda/threshold_gradient.cuh"

namespace lelkern::prox::cuda {

// Numbers and gradients, of which the gradients before the prox are made.
template <typename T>
struct GradientSource {
    static constexpr int values = 2, tensors = 2;

    template <typename E, int width>
    struct Packet {
        Vector<E, width> w, grad;
    };

    __device__ GradientSource(const GroupTensor& tensor, T own_lam1)
        : element(tensor.element),
          from(tensor.from),
          grad(tensor.beside),
          to(tensor.to),
          lam1(own_lam1) {}

    template <typename E, int width>
    __device__ Packet<E, width> load(int64_t at) const {
        using Read = const Vector<E, width>*;
        return {*reinterpret_cast<Read>(static_cast<const E*>(from) + at),
                *reinterpret_cast<Read>(static_cast<const E*>(grad) + at)};
    }
    template <typename E, int width>
    __device__ Member<T> member(const Packet<E, width>& packet, int i) const {
        return {soft_threshold(as_number<T>(packet.w.at[i]), lam1),
                as_number<T>(packet.grad.at[i])};
    }
    template <typename E, int width>
    __device__ void commit(int64_t, const Packet<E, width>&) const {}

    __device__ Member<T> member_at(int64_t at) const {
        if (at < 0) return {Numbers<T>::nan(), Numbers<T>::nan()};
        return {soft_threshold(load_number<T>(from, element, at), lam1),
                load_number<T>(grad, element, at)};
    }
    __device__ void write(int64_t at, T x) const {
        if (at >= 0) store_number<T>(to, element, at, x);
    }

    const Element element;
    const void *const from, *const grad;
    void* const to;
    const T lam1;
};

template <typename T, typename Norm>
__global__ void __launch_bounds__(kThreads, 2)
    shrink_groups_backward_kernel(const __grid_constant__ GroupRow row, const Norm norm,
                                  const ThresholdGradient of_lam1, const ThresholdGradient of_lam) {
    __shared__ T keep[kKept<T>];
    const GroupTensor& tensor = row.tensor;
    const Team team(row.shape);
    const int64_t block = blockIdx.x;
    const Group group =
        group_of(tensor.groups, tensor.numbers, block * row.shape.per_block() + team.number());
    const T lam1 = threshold<T>(tensor.lam1, group.number, 1);
    const T lam = threshold<T>(tensor.lam, group.number, 1);
    const T root = group.number < 0 ? 0 : static_cast<const T*>(tensor.roots)[group.number];
    const GradientSource<T> source(tensor, lam1);
    const Members<T, GradientSource<T>> members(source, group, team, keep, row.vectors);
    members.fetch();
    const typename Norm::template Gradient<T> gradient(team, members, lam, root, norm);
    double along_lam1 = 0;
    if (gradient.undefined()) along_lam1 = Numbers<T>::nan();
    members.put([&](const Member<T>& member) -> T {
        const T u = member.u, of_u = gradient(u, member.g);
        if (gradient.undefined()) return of_u;
        if (u > 0) along_lam1 -= of_u;
        if (u < 0) along_lam1 += of_u;
        if (lam1 == 0) return of_u;
        if (is_nan(u)) along_lam1 = u;
        return is_nan(u) ? u : u == 0 ? 0 : of_u;
    });
    along_lam1 = team.sum(along_lam1);
    if (team.lane() != 0 || group.number < 0) return;
    store_gradient(of_lam1, group.number, static_cast<T>(along_lam1));
    store_gradient(of_lam, group.number, gradient.of_threshold());
}

}  // namespace lelkern::prox::cuda
