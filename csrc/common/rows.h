// Rows of a 2-D tensor of any floating dtype and any strides, read and written as float or double.
#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Exception.h>
#include <torch/headeronly/util/Half.h>

#include <cstdint>

namespace lelkern {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Calls f with a null pointer to the C++ type that `dtype` names.
template <typename F>
void dispatch_floating(ScalarType dtype, const char* name, const F& f) {
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
            STD_TORCH_CHECK(false, name, " must be floating point, got ",
                            torch::headeronly::toString(dtype));
    }
}

// out[0..D) = row `row` of `from`.
template <typename T>
void read_row(const Tensor& from, int64_t row, T* out) {
    dispatch_floating(from.scalar_type(), "tensor", [&](auto* type) {
        using Element = std::remove_pointer_t<decltype(type)>;
        const int64_t D = from.size(1), step = from.stride(1);
        const auto* at = static_cast<const Element*>(from.const_data_ptr()) + row * from.stride(0);
        for (int64_t d = 0; d < D; ++d) out[d] = static_cast<T>(at[d * step]);
    });
}

// Row `row` of the contiguous `to` = in[0..D), rounded to its dtype.
template <typename T>
void write_row(const Tensor& to, int64_t row, const T* in) {
    dispatch_floating(to.scalar_type(), "tensor", [&](auto* type) {
        using Element = std::remove_pointer_t<decltype(type)>;
        const int64_t D = to.size(1);
        auto* at = static_cast<Element*>(to.mutable_data_ptr()) + row * D;
        for (int64_t d = 0; d < D; ++d) at[d] = static_cast<Element>(in[d]);
    });
}

inline double read_scalar(const Tensor& from) {
    double value = 0;
    dispatch_floating(from.scalar_type(), "tensor", [&](auto* type) {
        using Element = std::remove_pointer_t<decltype(type)>;
        value = static_cast<double>(*static_cast<const Element*>(from.const_data_ptr()));
    });
    return value;
}

}  // namespace lelkern
