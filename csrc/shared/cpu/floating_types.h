// The order of floating types in tables of kernels: double, float, float16, bfloat16.
#pragma once

#include <torch/headeronly/core/ScalarType.h>

namespace lelkern {

inline int place_of(torch::headeronly::ScalarType floating) {
    using torch::headeronly::ScalarType;
    switch (floating) {
        case ScalarType::Double:
            return 0;
        case ScalarType::Float:
            return 1;
        case ScalarType::Half:
            return 2;
        default:
            return 3;  // bfloat16: the ops let no others pass
    }
}

}  // namespace lelkern
