// Projection onto the l1-infinity ball (Quattoni et al. 2009): the op on every device, and what
// each device defines of it.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>

#include "prox/common/checks.h"

namespace lelkern::prox {

// In each problem p of x (P, G, n), |y_g| = min(|x_g|, mu_g) with sum_i (|x_gi| - mu_g)+ = theta,
// or mu_g = 0 where |x_g| sums to less, and the mu_g sum to the radius; theta is 0, and y = x,
// where the largest |x_g| sum to less. `radius`: without dimensions, or (P,), and theta (P,), in
// the dtype that is computed in. No dimension is 0.
void project_l1inf(const Tensor& x, const Tensor& radius, Tensor& y, Tensor& theta);

// The gradients, given that of y; `of_radius` is like `radius`.
void project_l1inf_backward(const Tensor& grad, const Tensor& x, const Tensor& radius,
                            const Tensor& theta, Tensor& of_x, Tensor& of_radius);

// Their arguments and results are on the stack, in the order of the schema.
void boxed_project_l1inf(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_project_l1inf_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::prox
