// The kernel that mixes labels: a warp a result, its lanes over the classes.
#pragma once

#include "mixup/cuda/mix_labels.h"
#include "mixup/cuda/mixing.cuh"

namespace lelkern::mixup::cuda {

constexpr int kLabelLanes = 32;
constexpr int kLabelRows = kMixThreads / kLabelLanes;  // of a block

// One row of labels: a single 1, or numbers in memory.
struct LabelRow {
    __device__ LabelRow(const LabelMix& mix, int64_t i) : one(-1), from(mix.labels), begin(0) {
        if (i >= mix.labelled) {
            from = mix.guesses;
            begin = (i - mix.labelled) % mix.unlabelled * mix.num_classes;
        } else if (mix.classes == nullptr) {
            begin = i * mix.num_classes;
        } else {
            one = mix.classes[i];
            from.values = nullptr;
        }
    }

    __device__ bool valid(int64_t num_classes) const {
        return from.values != nullptr || (one >= 0 && one < num_classes);
    }

    // That of a class, as a number of type To would be.
    template <typename To>
    __device__ NumberOf<To> at(int64_t c) const {
        using Number = NumberOf<To>;
        if (from.values == nullptr) return static_cast<Number>(c == one);
        const Number x =
            from.element == Element::float64
                ? static_cast<Number>(static_cast<const double*>(from.values)[begin + c])
                : static_cast<Number>(load_number<float>(from.values, from.element, begin + c));
        return as_number<Number>(rounded_to<To>(x));
    }

    int64_t one;
    Distributions from;
    int64_t begin;
};

template <typename To>
__global__ void __launch_bounds__(kMixThreads)
    mix_labels_kernel(const __grid_constant__ LabelMix mix) {
    using Number = NumberOf<To>;
    const int64_t result = int64_t{blockIdx.x} * kLabelRows + threadIdx.x / kLabelLanes;
    if (result >= mix.rows) return;
    const auto in_rows = [&](int64_t i) { return i >= 0 && i < mix.rows; };
    const int64_t i = mix.row == nullptr ? result : mix.row[result];
    const int64_t j = in_rows(i) ? mix.partner[i] : -1;
    To* const to = static_cast<To*>(mix.to) + result * mix.num_classes;
    const bool there = in_rows(j);
    // Of any row, if these are none.
    const LabelRow own(mix, there ? i : 0), partner(mix, there ? j : 0);
    const bool valid = there && own.valid(mix.num_classes) && partner.valid(mix.num_classes);
    const Number weight =
        valid ? static_cast<const Number*>(mix.lam)[i] : static_cast<Number>(nan(""));
    const Number rest = sum(Number(1), -weight);
    for (int64_t c = threadIdx.x % kLabelLanes; c < mix.num_classes; c += kLabelLanes) {
        const Number x = sum(product(weight, own.at<To>(c)), product(rest, partner.at<To>(c)));
        to[c] = rounded_to<To>(x);
    }
}

}  // namespace lelkern::mixup::cuda
