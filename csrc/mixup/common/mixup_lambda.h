// Draws of MixUp's lambda: the op on every device, and what each device defines of it.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>

#include <cstdint>

namespace lelkern::mixup {

using torch::stable::Tensor;

// seed: int64, alpha: float64, both without dimensions and on the device of lam (n,).
void draw_lambda(const Tensor& seed, const Tensor& alpha, bool fold, Tensor& lam);

// Its arguments and results are on the stack, in the order of the schema.
void boxed_mixup_lambda(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::mixup
