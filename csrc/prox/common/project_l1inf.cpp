#include "prox/common/project_l1inf.h"

#include <torch/csrc/stable/ops.h>

#include <limits>
#include <tuple>

#include "shared/common/contiguous.h"

namespace lelkern::prox {
namespace {

void check_problems(const Tensor& x) {
    check_floating(x);
    STD_TORCH_CHECK(x.dim() == 3, "x must be (P, G, n), got ", x.dim(), " dimensions");
}

std::tuple<Tensor, Tensor> forward(const Tensor& x, const Tensor& radius) {
    check_problems(x);
    const Tensor from = as_contiguous(x), sum = checked_numbers("radius", radius, x.size(0), x);
    Tensor y = torch::stable::empty_like(from);
    Tensor level = torch::stable::new_empty(sum, {x.size(0), x.size(1)});
    if (from.numel() > 0) {
        project_l1inf(from, sum, y, level);
    } else {
        torch::stable::fill_(level, std::numeric_limits<double>::infinity());
    }
    return {y, level};
}

std::tuple<Tensor, Tensor> backward(const Tensor& grad, const Tensor& x, const Tensor& radius,
                                    const Tensor& level) {
    check_problems(x);
    const Tensor from = as_contiguous(x), sum = checked_numbers("radius", radius, x.size(0), x);
    const Tensor of_y = checked_like("grad", grad, x);
    STD_TORCH_CHECK(level.dim() == 2 && level.size(0) == x.size(0) && level.size(1) == x.size(1),
                    "level must be (P, G)");
    const Tensor cut = checked("level", level, computed_in(x.scalar_type()), x);
    Tensor of_x = torch::stable::empty_like(from);
    Tensor of_radius = torch::stable::empty_like(sum);
    if (from.numel() > 0) {
        project_l1inf_backward(of_y, from, cut, of_x, of_radius);
    } else {
        torch::stable::zero_(of_radius);
    }
    return {of_x, of_radius};
}

}  // namespace

void boxed_project_l1inf(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&forward);
    call(stack, inputs, outputs);
}

void boxed_project_l1inf_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&backward);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::prox
