// The kernel that shrinks groups in diagonal metrics d: with u = w after soft thresholds lam1 / d,
// tau = lam / d and r = ||x||_2
//
//     x_i = u_i r / (r + tau_i),    sum_i y_i^2 = 1 for y_i = |u_i| / (r + tau_i),
//
// unless sum_i (u_i / tau_i)^2 <= 1, where x is 0.
#pragma once

#include "prox/cuda/group_sources.cuh"
#include "prox/cuda/group_table.cuh"

namespace lelkern::prox::cuda {

// Numbers after the soft threshold; their `g` is d, or nan for one that is negative.
template <typename T>
struct MetricSource {
    static constexpr int values = 2, tensors = 2;

    template <typename E, int width>
    struct Packet {
        Vector<E, width> w;
        T d[width];
    };

    __device__ MetricSource(const GroupTensor& tensor, T own_lam1)
        : element(tensor.element),
          to(tensor.to),
          metric(static_cast<const T*>(tensor.beside)),
          lam1(own_lam1) {}

    template <typename E, int width>
    __device__ Packet<E, width> load(int64_t at) const {
        // Numbers of 16 bits have a metric of twice their size.
        constexpr int whole = kVectorBytes / sizeof(T), together = width < whole ? width : whole;
        Packet<E, width> packet;
        packet.w = *reinterpret_cast<const Vector<E, width>*>(static_cast<const E*>(to) + at);
#pragma unroll
        for (int i = 0; i < width; i += together) {
            const auto some = *reinterpret_cast<const Vector<T, together>*>(metric + at + i);
#pragma unroll
            for (int k = 0; k < together; ++k) packet.d[i + k] = some.at[k];
        }
        return packet;
    }
    template <typename E, int width>
    __device__ Member<T> member(const Packet<E, width>& packet, int i) const {
        return member_of(as_number<T>(packet.w.at[i]), packet.d[i]);
    }
    template <typename E, int width>
    __device__ void commit(int64_t, const Packet<E, width>&) const {}

    __device__ Member<T> member_at(int64_t at) const {
        if (at < 0) return {Numbers<T>::nan(), Numbers<T>::nan()};
        return member_of(load_number<T>(to, element, at), metric[at]);
    }
    __device__ void write(int64_t at, T x) const {
        if (at >= 0) store_number<T>(to, element, at, x);
    }

    const Element element;
    void* const to;

  private:
    __device__ Member<T> member_of(T w, T d) const {
        const T valid = d >= 0 ? magnitude(d) : Numbers<T>::nan();
        const bool stays = lam1 == 0 || (lam1 == Numbers<T>::infinity && d >= 0);
        return {soft_threshold(w, stays ? lam1 : lam1 / valid), valid};
    }

    const T* const metric;
    const T lam1;
};

template <typename T>
class ProxInMetric {
  public:
    template <typename MembersOf>
    __device__ ProxInMetric(const Team& team, const MembersOf& members, T t) : t_(t) {
        double largest = 0, undefined = 0;
        members.each([&](const Member<T>& member) {
            largest = larger(largest, static_cast<double>(magnitude(member.u)));
            undefined += is_nan(member.u) || is_nan(member.g);
        });
        undefined = team.sum(undefined);
        largest = team.largest(largest);
        const bool infinite = largest == Numbers<double>::infinity;
        valid_ = t == 0 || (undefined == 0 && t >= 0);
        same_ = t == 0 || (infinite && t < Numbers<T>::infinity);
        const bool solved = valid_ && !same_ && largest > 0 && t < Numbers<T>::infinity;
        // A power of 2: in units of it no square overflows, nor do all of them underflow.
        constexpr int most = Numbers<T>::largest_exponent;
        const int exponent = solved ? ::ilogb(largest) : 0;
        to_unit_ = static_cast<T>(::ldexp(1.0, -larger(-most, smaller(exponent, most))));
        solve(team, members, solved);
    }

    __device__ T operator()(const Member<T>& member) const {
        if (!valid_) return Numbers<T>::nan();
        if (same_) return member.u;
        return norm_ == 0 ? 0 : member.u * (norm_ / (norm_ + tau(member.g)));
    }

  private:
    // What overflows before it is taken to units may not after it.
    __device__ T tau(T d) const {
        const T plain = t_ / d;
        return plain == Numbers<T>::infinity ? t_ / (d * (1 / to_unit_)) : plain * to_unit_;
    }

    // Calls f(size, tau) for the numbers of this thread that are not 0, in units.
    template <typename MembersOf, typename F>
    __device__ void each_in_units(const MembersOf& members, const F& f) const {
        members.each([&](const Member<T>& member) {
            const T size = magnitude(member.u) * to_unit_;
            if (size > 0) f(size, tau(member.g));
        });
    }

    // The norm, from two bounds from below, of one number alone and of all if each had the largest
    // tau, by Newton's steps on 1 / ||y||, which is concave in it: they only climb.
    template <typename MembersOf>
    __device__ void solve(const Team& team, const MembersOf& members, bool solved) {
        double ratios = 0, squares = 0, nearest = 0, furthest = 0;
        if (solved) {
            each_in_units(members, [&](T size, T own_tau) {
                const T ratio = size / own_tau;
                ratios += ratio * ratio;
                squares += size * size;
                nearest = larger(nearest, static_cast<double>(size - own_tau));
                furthest = larger(furthest, static_cast<double>(own_tau));
            });
        }
        team.sum(ratios, squares);
        nearest = team.largest(nearest);
        furthest = team.largest(furthest);
        bool done = !(solved && static_cast<T>(ratios) > 1);
        norm_ = done ? 0 : static_cast<T>(larger(nearest, ::sqrt(squares) - furthest));
#pragma unroll 1
        while (team.any(!done)) {
            double sum = 0, slope = 0;
            if (!done) {
                each_in_units(members, [&](T size, T own_tau) {
                    const T inverse = 1 / (norm_ + own_tau), y = size * inverse;
                    sum += y * y;
                    slope += y * y * inverse;
                });
            }
            team.sum(sum, slope);
            if (done) continue;
            const T next = static_cast<T>(norm_ + sum * (::sqrt(sum) - 1) / slope);
            done = !(next > norm_);
            if (!done) norm_ = next;
        }
    }

    const T t_;
    T to_unit_, norm_;  // ||x||_2 in units; 0 where x is 0
    bool valid_, same_;
};

template <typename T, int capacity>
__global__ void __launch_bounds__(kThreads, 2)
    shrink_groups_in_metric_kernel(const __grid_constant__ GroupTable<capacity> table) {
    __shared__ T keep[kKept<T>];
    const GroupRow& row = table.row_of(blockIdx.x);
    const Team team(row.shape);
    const int64_t block = blockIdx.x - row.first_block;
    const Group group = group_of(row.tensor.groups, row.tensor.numbers,
                                 block * row.shape.per_block() + team.number());
    const MetricSource<T> source(row.tensor, threshold<T>(row.tensor.lam1, group.number, 1));
    const Members<T, MetricSource<T>> members(source, group, team, keep, row.vectors);
    members.fetch();
    const ProxInMetric<T> prox(team, members, threshold<T>(row.tensor.lam, group.number, 1));
    members.put(prox);
}

}  // namespace lelkern::prox::cuda
