// Numbers in tensors of the types that are computed in.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <cstdint>
#include <vector>

#include "prox/common/checks.h"

namespace lelkern::prox {

inline double number_at(const Tensor& of, int64_t i) {
    return of.scalar_type() == ScalarType::Double
               ? static_cast<const double*>(of.const_data_ptr())[i]
               : static_cast<const float*>(of.const_data_ptr())[i];
}

inline void put_number(void* to, ScalarType dtype, int64_t i, double value) {
    if (dtype == ScalarType::Double) {
        static_cast<double*>(to)[i] = value;
    } else {
        static_cast<float*>(to)[i] = static_cast<float>(value);
    }
}

// The gradient of one number for each of several things, or of one for all of them: the sum in
// their order, whatever thread had which.
inline void put_gradients(const std::vector<double>& of_each, Tensor& to) {
    void* const numbers = to.mutable_data_ptr();
    double total = 0;
    for (std::size_t i = 0; i < of_each.size(); ++i) {
        total += of_each[i];
        if (to.dim() == 1) put_number(numbers, to.scalar_type(), i, of_each[i]);
    }
    if (to.dim() == 0) put_number(numbers, to.scalar_type(), 0, total);
}

}  // namespace lelkern::prox
