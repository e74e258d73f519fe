// MixUp of labels: the op on every device, and what each device defines of it.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <optional>

#include "mixup/common/mixing.h"

namespace lelkern::mixup {

// Rows as in RowMix, of C numbers each: those of `labels`, then those of `guesses` again for each
// copy. Numbers of another type than results have are rounded to that first.
struct LabelMix {
    Tensor labels;                  // (N,) classes, rows with a single 1; or (N, C)
    std::optional<Tensor> guesses;  // (B, C)
    Tensor lam, perm;
    std::optional<Tensor> order;
    int64_t copies, num_classes;
    ScalarType dtype;  // of the results

    bool of_classes() const { return labels.dim() == 1; }
    int64_t unlabelled() const { return guesses ? guesses->size(0) : 0; }  // B
    int64_t rows() const { return labels.size(0) + copies * unlabelled(); }
};

// The kernel of a device. Raises for a class that is none, and if perm or order is no permutation;
// on a GPU such rows become nan.
void mix_labels(const LabelMix& mix, Tensor& mixed);

// Its arguments and result are on the stack, in the order of the schema.
void boxed_mix_labels(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::mixup
