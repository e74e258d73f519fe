// Where the numbers of groups come from: memory, or a step of SGD that is made on the way.
#pragma once

#include "prox/cuda/members.cuh"
#include "prox/cuda/prox_group.h"

namespace lelkern::prox::cuda {

template <typename T>
__device__ T scaled(T lam, double scale) {
    // An infinite threshold is one however small the step.
    return lam == Numbers<T>::infinity ? lam : static_cast<T>(lam * scale);
}

template <typename T>
__device__ T threshold(const Thresholds& thresholds, int64_t group, double scale) {
    if (thresholds.values == nullptr || group < 0) return 0;
    return scaled(static_cast<const T*>(thresholds.values)[thresholds.each ? group : 0], scale);
}

// No step: groups are shrunk as they are.
struct NoStep {};

template <typename T, typename Step>
struct Source;

template <typename T>
struct Source<T, NoStep> {
    static constexpr int values = 1, tensors = 1;

    template <typename E, int width>
    struct Packet {
        Vector<E, width> w;
    };

    __device__ Source(const GroupTensor& tensor, T own_lam1, const NoStep&)
        : element(tensor.element), from(tensor.from), to(tensor.to), lam1(own_lam1) {}

    template <typename E, int width>
    __device__ Packet<E, width> load(int64_t at) const {
        return {*reinterpret_cast<const Vector<E, width>*>(static_cast<const E*>(from) + at)};
    }
    template <typename E, int width>
    __device__ Member<T> member(const Packet<E, width>& packet, int i) const {
        return {soft_threshold(as_number<T>(packet.w.at[i]), lam1), 0};
    }
    template <typename E, int width>
    __device__ void commit(int64_t, const Packet<E, width>&) const {}

    __device__ Member<T> member_at(int64_t at) const {
        if (at < 0) return {Numbers<T>::nan(), 0};
        return {soft_threshold(load_number<T>(from, element, at), lam1), 0};
    }
    __device__ void write(int64_t at, T x) const {
        if (at >= 0) store_number<T>(to, element, at, x);
    }

    const Element element;
    const void* const from;
    void* const to;
    const T lam1;
};

// The step for one number.
template <typename T>
struct Stepped {
    T w, buffer;

    __device__ Stepped(T parameter, T grad, T before, const SgdStep& step) : buffer(0) {
        const auto number = [](double x) { return static_cast<T>(x); };
        const T d = step.weight_decay == 0 ? grad : grad + number(step.weight_decay) * parameter;
        T by = d;
        if (step.momentum != 0) {
            const T momentum = number(step.momentum);
            buffer = step.first ? d : momentum * before + number(1 - step.dampening) * d;
            by = step.nesterov ? d + momentum * buffer : buffer;
        }
        w = parameter - number(step.rate) * by;
    }
};

template <typename T>
struct Source<T, SgdStep> {
    static constexpr int values = 1, tensors = 2;

    template <typename E, int width>
    struct Packet {
        Vector<E, width> w, grad, buffer;
    };

    __device__ Source(const GroupTensor& tensor, T own_lam1, const SgdStep& own_step)
        : element(tensor.element),
          to(tensor.to),
          grad(tensor.beside),
          buffer(tensor.buffer),
          lam1(own_lam1),
          step(own_step),
          reads_buffer(tensor.buffer != nullptr && !own_step.first) {}

    template <typename E, int width>
    __device__ Packet<E, width> load(int64_t at) const {
        using Read = const Vector<E, width>*;
        Packet<E, width> packet{};
        packet.w = *reinterpret_cast<Read>(static_cast<const E*>(to) + at);
        packet.grad = *reinterpret_cast<Read>(static_cast<const E*>(grad) + at);
        if (reads_buffer) {
            packet.buffer = *reinterpret_cast<Read>(static_cast<const E*>(buffer) + at);
        }
        return packet;
    }
    template <typename E, int width>
    __device__ Member<T> member(const Packet<E, width>& packet, int i) const {
        return {soft_threshold(stepped(packet, i).w, lam1), 0};
    }
    template <typename E, int width>
    __device__ void commit(int64_t at, const Packet<E, width>& packet) const {
        if (buffer == nullptr) return;
        Vector<E, width> after;
#pragma unroll
        for (int i = 0; i < width; ++i) after.at[i] = rounded_to<E>(stepped(packet, i).buffer);
        *reinterpret_cast<Vector<E, width>*>(static_cast<E*>(buffer) + at) = after;
    }

    __device__ Member<T> member_at(int64_t at) const {
        if (at < 0) return {Numbers<T>::nan(), 0};
        return {soft_threshold(stepped_at(at).w, lam1), 0};
    }
    __device__ void write(int64_t at, T x) const {
        if (at < 0) return;
        if (buffer != nullptr) store_number<T>(buffer, element, at, stepped_at(at).buffer);
        store_number<T>(to, element, at, x);
    }
    // The step without a group.
    __device__ void step_at(int64_t at) const { write(at, stepped_at(at).w); }

    const Element element;
    void* const to;

  private:
    template <typename E, int width>
    __device__ Stepped<T> stepped(const Packet<E, width>& packet, int i) const {
        return {as_number<T>(packet.w.at[i]), as_number<T>(packet.grad.at[i]),
                reads_buffer ? as_number<T>(packet.buffer.at[i]) : 0, step};
    }
    __device__ Stepped<T> stepped_at(int64_t at) const {
        return {load_number<T>(to, element, at), load_number<T>(grad, element, at),
                reads_buffer ? load_number<T>(buffer, element, at) : 0, step};
    }

    const void* const grad;
    void* const buffer;
    const T lam1;
    const SgdStep& step;
    const bool reads_buffer;
};

}  // namespace lelkern::prox::cuda
