// The number in a tensor without dimensions, on a CPU.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include "shared/common/dispatch_floating.h"

namespace lelkern {

inline double read_scalar(const torch::stable::Tensor& from) {
    double value = 0;
    dispatch_floating(from.scalar_type(), [&](auto* type) {
        value = static_cast<double>(*static_cast<decltype(type)>(from.mutable_data_ptr()));
    });
    return value;
}

}  // namespace lelkern
