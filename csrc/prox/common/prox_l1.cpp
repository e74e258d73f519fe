#include "prox/common/prox_l1.h"

#include <torch/csrc/stable/ops.h>

#include <tuple>

#include "shared/common/contiguous.h"

namespace lelkern::prox {
namespace {

Tensor checked_lam(const Tensor& lam, const Tensor& w) {
    if (lam.dim() == 0) return checked_numbers("lam", lam, 1, w);
    bool fits = lam.dim() == w.dim();
    for (int64_t d = 0; fits && d < w.dim(); ++d) fits = lam.size(d) == w.size(d);
    STD_TORCH_CHECK(fits, "lam must have no dimensions or the shape of w");
    return checked("lam", lam, computed_in(w.scalar_type()), w);
}

Tensor forward(const Tensor& w, const Tensor& lam) {
    check_floating(w);
    const Tensor from = as_contiguous(w), by = checked_lam(lam, w);
    Tensor x = torch::stable::empty_like(from);
    if (from.numel() > 0) prox_l1(from, by, x);
    return x;
}

std::tuple<Tensor, Tensor> backward(const Tensor& grad, const Tensor& w, const Tensor& lam) {
    check_floating(w);
    const Tensor from = as_contiguous(w), by = checked_lam(lam, w);
    const Tensor of_x = checked_like("grad", grad, w);
    Tensor of_w = torch::stable::empty_like(from);
    Tensor of_lam = torch::stable::empty_like(by);
    if (from.numel() > 0) {
        prox_l1_backward(of_x, from, by, of_w, of_lam);
    } else {
        torch::stable::zero_(of_lam);
    }
    return {of_w, of_lam};
}

}  // namespace

void boxed_prox_l1(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&forward);
    call(stack, inputs, outputs);
}

void boxed_prox_l1_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&backward);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::prox
