// What the ops that mix images have in common on every device: rows, and values of channels.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <cstdint>
#include <optional>

#include "shared/common/dispatch_floating.h"

namespace lelkern::mixup {

using torch::stable::Tensor;

// Images, one a row of numbers that lie side by side; `stride`: from a row to the next.
struct ImageRows {
    Tensor values;
    int64_t count, features, stride;
    ScalarType dtype;
};

// One number a channel: that of feature d is d / inner, modulo the number of channels.
struct ChannelValues {
    std::optional<Tensor> scale, offset;
    int64_t inner;
};

inline bool is_floating(ScalarType dtype) { return dtype != ScalarType::Byte; }

// What mixing is computed in, from one dtype to another.
inline ScalarType arithmetic_of(ScalarType from, ScalarType to) {
    return from == ScalarType::Double || to == ScalarType::Double ? ScalarType::Double
                                                                  : ScalarType::Float;
}

// Raises unless x (N, D) may be mixed.
ImageRows image_rows(const char* name, const Tensor& x);

// Raises unless rows of dtype `from` may become such of `to`.
void check_dtypes(ScalarType from, ScalarType to);

// An argument (count,) beside `like`, contiguous. Raises for another.
Tensor checked_vector(const char* name, const Tensor& vector, ScalarType dtype, int64_t count,
                      const Tensor& like);

// Raises for numbers of channels in another dtype than `computed`.
ChannelValues channel_values(const std::optional<Tensor>& scale,
                             const std::optional<Tensor>& offset, int64_t inner,
                             ScalarType computed, const Tensor& like);

// A gradient (rows, D) in `dtype`, contiguous. Raises for another.
Tensor checked_gradient(const Tensor& grad, ScalarType dtype, int64_t rows, int64_t features,
                        const Tensor& like);

}  // namespace lelkern::mixup
