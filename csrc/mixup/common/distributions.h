// What the ops over distributions of classes hand to the kernels of their device, which define the
// functions here. The public functions explain their errors; the checks of the ops keep a direct
// call inside its memory.
#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <cstdint>

#include "shared/common/dispatch_floating.h"

namespace lelkern::mixup {

using torch::stable::Tensor;

// Where the distributions of a contiguous tensor lie: (outer, classes, inner).
struct Layout {
    int64_t outer, classes, inner;

    int64_t count() const { return outer * inner; }
};

// to = x^(1 / T), normalised, or with `logits` exp(x / T). Both tensors are contiguous.
void sharpen(const Tensor& x, const Tensor& temperature, const Layout& layout, bool logits,
             Tensor& to);

// The gradients, given that of what forward returned. `of_temperature`: null if nobody asks for it.
void sharpen_backward(const Tensor& grad, const Tensor& x, const Tensor& temperature,
                      const Layout& layout, bool logits, Tensor& of_x, Tensor* of_temperature);

// to (B, C) = the mean over K of the softmax of logits (K, B, C), sharpened.
void guess_labels(const Tensor& logits, const Tensor& temperature, Tensor& to);

void guess_labels_backward(const Tensor& grad, const Tensor& logits, const Tensor& temperature,
                           Tensor& of_logits, Tensor* of_temperature);

// What is computed, and what guesses are stored in.
inline ScalarType computed_in(ScalarType dtype) {
    return dtype == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

// Raises unless x is floating point, and the temperature a number on its device.
void check_distributions(const Tensor& x, const Tensor& temperature);

void check_gradient(const Tensor& grad, const Tensor& like);

// Where the gradient of the temperature goes: 0 as yet; or, if it is not `needed`, what stands for
// no gradient of an op whose first gradient is `first`.
Tensor temperature_gradient(const Tensor& temperature, const Tensor& first, bool needed);

}  // namespace lelkern::mixup
