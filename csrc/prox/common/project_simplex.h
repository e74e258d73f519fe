// Projection of rows onto the simplex or the l1 ball (Duchi et al. 2008): the op on every device,
// and what each device defines of it.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>

#include "prox/common/checks.h"

namespace lelkern::prox {

// The rows of x (R, n) are cut at theta: y = max(x - theta, 0) sums to the radius; or with `l1`
// |y| = max(|x| - theta, 0) does, unless |x| sums to less, where theta is 0. `radius`: without
// dimensions, or (R,), and theta (R,), in the dtype that is computed in. n > 0, R > 0.
void project_simplex(const Tensor& x, const Tensor& radius, bool l1, Tensor& y, Tensor& theta);

// The gradients, given that of y, from what forward returned; `of_radius`: of no dimensions, the
// sum over rows, which no order of threads decides, or (R,).
void project_simplex_backward(const Tensor& grad, bool l1, const Tensor& y, const Tensor& theta,
                              Tensor& of_x, Tensor& of_radius);

// Their arguments and results are on the stack, in the order of the schema.
void boxed_project_simplex(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_project_simplex_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::prox
