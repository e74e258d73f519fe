// What the proximal ops check of their arguments on every device. The public functions explain
// their errors; the checks of the ops keep a direct call inside its memory.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <cstdint>
#include <optional>

#include "shared/common/dispatch_floating.h"

namespace lelkern::prox {

using torch::stable::Tensor;
using OptionalTensor = std::optional<Tensor>;

// What numbers of a dtype are computed in, and what thresholds and levels are stored in.
inline ScalarType computed_in(ScalarType dtype) {
    return dtype == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

inline void check_floating(const Tensor& x) {
    dispatch_floating(x.scalar_type(), [](auto*) {});  // which raises
}

// x with its numbers side by side. Raises unless it goes with `like`: on its device and of a dtype.
Tensor checked(const char* name, const Tensor& x, ScalarType dtype, const Tensor& like);

// One number, or `count` of them side by side, of the dtype that those of `like` are computed in.
Tensor checked_numbers(const char* name, const Tensor& x, int64_t count, const Tensor& like);

// The numbers of a tensor of the shape, dtype and device of `like`.
Tensor checked_like(const char* name, const Tensor& x, const Tensor& like);

// What stands for no gradient of an op whose first gradient is like `first`.
Tensor no_gradient(const Tensor& first);

}  // namespace lelkern::prox
