#include "mixup/common/distributions.h"

#include <torch/csrc/stable/ops.h>

#include <vector>

namespace lelkern::mixup {

void check_distributions(const Tensor& x, const Tensor& temperature) {
    dispatch_floating(x.scalar_type(), [](auto*) {});  // which raises where threads cannot
    dispatch_floating(temperature.scalar_type(), [](auto*) {});
    STD_TORCH_CHECK(temperature.dim() == 0, "temperature must have no dimensions, got ",
                    temperature.dim());
    STD_TORCH_CHECK(temperature.device() == x.device(),
                    "temperature must be on the device of the other tensors");
}

void check_gradient(const Tensor& grad, const Tensor& like) {
    bool fits = grad.dim() == like.dim() && grad.scalar_type() == like.scalar_type() &&
                grad.device() == like.device();
    for (int64_t d = 0; fits && d < like.dim(); ++d) fits = grad.size(d) == like.size(d);
    STD_TORCH_CHECK(fits, "grad must have the shape, dtype and device of the result");
}

Tensor temperature_gradient(const Tensor& temperature, const Tensor& first, bool needed) {
    if (needed) return torch::stable::new_zeros(temperature, {});
    std::vector<int64_t> sizes{0};
    for (int64_t d = 1; d < first.dim(); ++d) sizes.push_back(first.size(d));
    return torch::stable::new_empty(first, sizes);
}

}  // namespace lelkern::mixup
