#include "mixup/common/sharpen.h"

#include <torch/csrc/stable/ops.h>

#include <tuple>

#include "mixup/common/distributions.h"
#include "shared/common/contiguous.h"

namespace lelkern::mixup {
namespace {

Layout layout_of(const Tensor& x, int64_t dim) {
    STD_TORCH_CHECK(dim >= 0 && dim < x.dim(), "dim must be from 0 to ", x.dim() - 1, ", got ",
                    dim);
    Layout layout{1, x.size(dim), 1};
    for (int64_t d = 0; d < dim; ++d) layout.outer *= x.size(d);
    for (int64_t d = dim + 1; d < x.dim(); ++d) layout.inner *= x.size(d);
    STD_TORCH_CHECK(layout.classes > 0, "x must have at least one class");
    return layout;
}

Tensor sharpen_forward(const Tensor& x, const Tensor& temperature, int64_t dim, bool logits) {
    check_distributions(x, temperature);
    const Layout layout = layout_of(x, dim);
    const Tensor from = as_contiguous(x);
    Tensor to = torch::stable::empty_like(from);
    if (layout.count() > 0) sharpen(from, temperature, layout, logits, to);
    return to;
}

std::tuple<Tensor, Tensor> sharpen_gradients(const Tensor& grad, const Tensor& x,
                                             const Tensor& temperature, int64_t dim, bool logits,
                                             bool temperature_needs_grad) {
    check_distributions(x, temperature);
    const Layout layout = layout_of(x, dim);
    check_gradient(grad, x);
    const Tensor from = as_contiguous(x);
    Tensor of_x = torch::stable::empty_like(from);
    Tensor of_temperature = temperature_gradient(temperature, of_x, temperature_needs_grad);
    if (layout.count() > 0) {
        sharpen_backward(as_contiguous(grad), from, temperature, layout, logits, of_x,
                         temperature_needs_grad ? &of_temperature : nullptr);
    }
    return {of_x, of_temperature};
}

}  // namespace

void boxed_sharpen(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&sharpen_forward);
    call(stack, inputs, outputs);
}

void boxed_sharpen_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&sharpen_gradients);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::mixup
