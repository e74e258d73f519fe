// Soft thresholds (Donoho 1995): the op on every device, and what each device defines of it.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>

#include "prox/common/checks.h"

namespace lelkern::prox {

// x = sign(w) max(|w| - lam, 0). `lam`: one number, or one for each of w, in the dtype that is
// computed in. All tensors are contiguous and not empty.
void prox_l1(const Tensor& w, const Tensor& lam, Tensor& x);

// The gradients, given that of x; `of_lam` is like `lam`.
void prox_l1_backward(const Tensor& grad, const Tensor& w, const Tensor& lam, Tensor& of_w,
                      Tensor& of_lam);

// Their arguments and results are on the stack, in the order of the schema.
void boxed_prox_l1(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_prox_l1_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::prox
