// MixUp of rows (Zhang et al. 2018): the op on every device, and what each device defines of it.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <optional>

#include "mixup/common/mixing.h"

namespace lelkern::mixup {

// Row i of those of `first` and `second`, one after the other, becomes lam[i] row i + (1 - lam[i])
// row perm[i]; result r is that of row order[r], or r.
struct RowMix {
    ImageRows first;
    std::optional<ImageRows> second;
    Tensor lam, perm;
    std::optional<Tensor> order;
    ChannelValues channels;
    ScalarType dtype, computed;  // of the results, and of the arithmetic

    int64_t rows() const { return first.count + (second ? second->count : 0); }
};

// The kernels of a device. Raise if perm or order is no permutation, or on a GPU mix nan.
void mix_rows(const RowMix& mix, Tensor& mixed);
void mix_rows_backward(const RowMix& mix, const Tensor& grad, Tensor& of_first, Tensor* of_second);
void lam_backward(const RowMix& mix, const Tensor& grad, Tensor& of_lam);

// Their arguments and results are on the stack, in the order of the schema.
void boxed_mix_rows(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_mix_rows_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::mixup
