// From a dtype to the C++ type of its numbers.
#pragma once

#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Exception.h>
#include <torch/headeronly/util/Half.h>

namespace lelkern {

using torch::headeronly::ScalarType;

// Calls f with a null pointer to the C++ type that `dtype` names.
template <typename F>
void dispatch_floating(ScalarType dtype, const F& f) {
    switch (dtype) {
        case ScalarType::Float:
            return f(static_cast<float*>(nullptr));
        case ScalarType::Double:
            return f(static_cast<double*>(nullptr));
        case ScalarType::Half:
            return f(static_cast<c10::Half*>(nullptr));
        case ScalarType::BFloat16:
            return f(static_cast<c10::BFloat16*>(nullptr));
        default:
            STD_TORCH_CHECK(false, "tensors must be floating point, got ",
                            torch::headeronly::toString(dtype));
    }
}

}  // namespace lelkern
