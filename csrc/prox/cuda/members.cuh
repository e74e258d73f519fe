// The numbers of a group: where they lie, and those of one thread, which it keeps in shared memory
// if they are not too many, so that memory is read once.
#pragma once

#include <cstdint>

#include "prox/common/groups.h"
#include "prox/cuda/prox_numbers.cuh"
#include "prox/cuda/team.cuh"

namespace lelkern::prox::cuda {

constexpr int kVectorBytes = 16;
constexpr int kKeptBytes = 32 << 10;  // of a block

template <typename T>
constexpr int kKept = kKeptBytes / static_cast<int>(sizeof(T));  // numbers of a block

// Numbers of a group that a thread keeps, if it keeps so many for each of them.
template <typename T, int values>
constexpr int kept_by_thread = kKept<T> / kThreads / values;

struct Group {
    int64_t number;          // among all of a tensor, or -1: there is none for this team
    int64_t size;            // 0 if there is none
    int64_t first, stride;   // places of its numbers in the tensor
    const int64_t* indices;  // instead of these, where it is listed
    int64_t numbers;         // of the tensor, which indices are to be below

    // Of number i, or -1 for an index that is none.
    __device__ int64_t place(int64_t i) const {
        if (indices == nullptr) return first + i * stride;
        const int64_t index = indices[i];
        return index >= 0 && index < numbers ? index : -1;
    }
};

__device__ inline Group group_of(const Groups& groups, int64_t numbers, int64_t number) {
    if (number >= groups.count) return {-1, 0, 0, 0, nullptr, 0};
    if (groups.ptr != nullptr) {
        const int64_t begin = groups.ptr[number], end = groups.ptr[number + 1];
        const bool valid = begin >= 0 && begin <= end && end <= groups.entries;
        return {number, valid ? end - begin : 0, 0, 0, groups.indices + begin, numbers};
    }
    const int64_t outer = number / groups.inner;
    const int64_t first = outer * groups.size * groups.inner + (number - outer * groups.inner);
    return {number, groups.size, first, groups.inner, nullptr, numbers};
}

// Of number i of a group; g: in backward the gradient of what becomes of it, or its metric.
template <typename T>
struct Member {
    T u, g;
};

// Source says how the numbers of a group come from memory and go there:
//
//     static constexpr int values;             1, or 2: members have a g
//     Element element;                         of all tensors
//     template <E, width> struct Packet;       neighbours of all tensors, as they lie in memory
//     Packet load<E, width>(place);
//     Member<T> member(packet, i);             what is computed with
//     void commit(place, packet);              once, for each packet: what else is to be stored
//     Member<T> member_at(place);              the same of a single number; nan for place -1
//     void write(place, x);                    the result of a single number, and what else
//     void* to;                                results
template <typename T, typename Source>
class Members {
  public:
    // `keep`: kKept numbers of the block. `vectors`: all groups begin and end with whole vectors.
    __device__ Members(const Source& source, const Group& group, const Team& team, T* keep,
                       bool vectors)
        : source_(source),
          group_(group),
          keep_(keep + threadIdx.x),
          vectors_(vectors),
          width_(vectors ? kVectorBytes / bytes_of(source.element) : 1),
          lane_(static_cast<int64_t>(team.lane()) * width_),
          step_(static_cast<int64_t>(team.lanes()) * width_) {
        const auto packets = [&](int64_t lane) {
            return group.size > lane ? (group.size - lane + step_ - 1) / step_ : 0;
        };
        packets_ = packets(lane_);
        kept_ = packets(0) * width_ <= kept_by_thread<T, Source::values>;
    }

    // Reads what is kept. Comes first.
    __device__ void fetch() const {
        if (!kept_) return;
        with_stored<T>(source_.element, [&](auto* type) {
            using E = std::remove_pointer_t<decltype(type)>;
            if (vectors_) {
                fetch_packets<E, kVectorBytes / sizeof(E)>();
            } else {
                fetch_packets<E, 1>();
            }
        });
    }

    // Calls f(member) for those of this thread.
    template <typename F>
    __device__ void each(const F& f) const {
        if (kTwoLoops && kept_) {
            for (int i = 0; i < kept_numbers(); ++i) f(kept(i));
        } else {
            for (int64_t i = 0; i < packets_ * width_; ++i) f(kept_ ? kept(i) : source_member(i));
        }
    }

    // Stores f(member) for those of this thread. Comes last.
    template <typename F>
    __device__ void put(const F& f) const {
        if (kTwoLoops && kept_) {
            for (int i = 0; i < kept_numbers(); ++i) keep_[i * kThreads] = f(kept(i));
        } else {
            for (int64_t i = 0; i < packets_ * width_; ++i) {
                const T x = f(kept_ ? kept(i) : source_member(i));
                if (kept_) {
                    keep_[i * kThreads] = x;
                } else {
                    source_.write(place(i), x);
                }
            }
        }
        if (!kept_) return;
        with_stored<T>(source_.element, [&](auto* type) {
            using E = std::remove_pointer_t<decltype(type)>;
            if (vectors_) {
                store_packets<E, kVectorBytes / sizeof(E)>();
            } else {
                store_packets<E, 1>();
            }
        });
    }

    __device__ int64_t size() const { return group_.size; }

  private:
    // A loop of its own for what is kept halves the instructions of a number. In float64 general q
    // has no registers for two.
    static constexpr bool kTwoLoops = sizeof(T) == sizeof(float);

    // Where packet p begins.
    __device__ int64_t packet_place(int64_t p) const { return group_.place(p * step_ + lane_); }

    __device__ int64_t place(int64_t i) const {
        return width_ == 1 ? packet_place(i) : packet_place(i / width_) + i % width_;
    }

    __device__ int kept_numbers() const { return static_cast<int>(packets_) * width_; }

    __device__ Member<T> kept(int64_t i) const {
        Member<T> member{keep_[i * kThreads], 0};
        if constexpr (Source::values == 2) member.g = keep_[kKept<T> / 2 + i * kThreads];
        return member;
    }

    __device__ Member<T> source_member(int64_t i) const { return source_.member_at(place(i)); }

    template <typename E, int width>
    __device__ void fetch_packets() const {
        using Packet = typename Source::template Packet<E, width>;
        constexpr int batch = 4 / Source::tensors;
        const int count = static_cast<int>(packets_);
        for (int begin = 0; begin < count; begin += batch) {
            Packet packets[batch];
            int64_t at[batch];
#pragma unroll
            for (int k = 0; k < batch; ++k) {  // all loads before the first store
                if (begin + k >= count) continue;
                at[k] = packet_place(begin + k);
                if (at[k] >= 0) packets[k] = source_.template load<E, width>(at[k]);
            }
#pragma unroll
            for (int k = 0; k < batch; ++k) {
                if (begin + k >= count) continue;
#pragma unroll
                for (int n = 0; n < width; ++n) {
                    Member<T> member{Numbers<T>::nan(), Numbers<T>::nan()};
                    if (at[k] >= 0) member = source_.member(packets[k], n);
                    const int i = (begin + k) * width + n;
                    keep_[i * kThreads] = member.u;
                    if constexpr (Source::values == 2) {
                        keep_[kKept<T> / 2 + i * kThreads] = member.g;
                    }
                }
                if (at[k] >= 0) source_.commit(at[k], packets[k]);
            }
        }
    }

    template <typename E, int width>
    __device__ void store_packets() const {
        E* const to = static_cast<E*>(source_.to);
        const int count = static_cast<int>(packets_);
        for (int p = 0; p < count; ++p) {
            Vector<E, width> packet;
#pragma unroll
            for (int n = 0; n < width; ++n) {
                packet.at[n] = rounded_to<E>(keep_[(p * width + n) * kThreads]);
            }
            const int64_t at = packet_place(p);
            if (at >= 0) *reinterpret_cast<Vector<E, width>*>(to + at) = packet;
        }
    }

    const Source& source_;
    const Group& group_;
    T* const keep_;
    const bool vectors_;
    const int width_;
    const int64_t lane_, step_;  // where its first number is in a group, and how far to the next
    int64_t packets_;            // vectors, or single numbers, of this thread
    bool kept_;
};

}  // namespace lelkern::prox::cuda
