#include "prox/common/project_simplex.h"

#include <torch/csrc/stable/ops.h>

#include <tuple>

#include "shared/common/contiguous.h"

namespace lelkern::prox {
namespace {

void check_rows(const Tensor& x) {
    check_floating(x);
    STD_TORCH_CHECK(x.dim() == 2, "x must be (R, n), got ", x.dim(), " dimensions");
}

std::tuple<Tensor, Tensor> forward(const Tensor& x, const Tensor& radius, bool l1) {
    check_rows(x);
    const Tensor from = as_contiguous(x), sum = checked_numbers("radius", radius, x.size(0), x);
    Tensor y = torch::stable::empty_like(from);
    Tensor theta = torch::stable::new_empty(sum, {x.size(0)});
    if (from.numel() > 0) {
        project_simplex(from, sum, l1, y, theta);
    } else {
        torch::stable::zero_(theta);
    }
    return {y, theta};
}

std::tuple<Tensor, Tensor> backward(const Tensor& grad, const Tensor& x, const Tensor& radius,
                                    bool l1, const Tensor& y, const Tensor& theta) {
    check_rows(x);
    const Tensor sum = checked_numbers("radius", radius, x.size(0), x);
    const Tensor of_y = checked_like("grad", grad, x), result = checked_like("y", y, x);
    STD_TORCH_CHECK(theta.dim() == 1, "theta must be (R,)");
    const Tensor level = checked_numbers("theta", theta, x.size(0), x);
    Tensor of_x = torch::stable::empty_like(result);
    Tensor of_radius = torch::stable::empty_like(sum);
    if (result.numel() > 0) {
        project_simplex_backward(of_y, l1, result, level, of_x, of_radius);
    } else {
        torch::stable::zero_(of_radius);
    }
    return {of_x, of_radius};
}

}  // namespace

void boxed_project_simplex(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&forward);
    call(stack, inputs, outputs);
}

void boxed_project_simplex_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&backward);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::prox
