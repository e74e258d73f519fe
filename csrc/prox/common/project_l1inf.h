// Projection onto the l1-infinity ball (Quattoni et al. 2009): the op on every device, and what
// each device defines of it.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>

#include "prox/common/checks.h"

namespace lelkern::prox {

// In each problem p of x (P, G, n), |y_g| = min(|x_g|, level_g), where sum_i (|x_gi| - level_g)+ is
// the same for all g, but those whose |x_g| sum to less, which have level 0; and levels sum to the
// radius. Where the largest |x_g| do not sum to more, y = x, and levels are infinite. `radius`:
// without dimensions, or (P,), and level (P, G), in the dtype that is computed in. No dimension is
// 0.
void project_l1inf(const Tensor& x, const Tensor& radius, Tensor& y, Tensor& level);

// The gradients, given that of y; `of_radius`: of no dimensions, the sum over problems, which no
// order of threads decides, or (P,).
void project_l1inf_backward(const Tensor& grad, const Tensor& x, const Tensor& level, Tensor& of_x,
                            Tensor& of_radius);

// Their arguments and results are on the stack, in the order of the schema.
void boxed_project_l1inf(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_project_l1inf_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::prox
