#include "prox/common/prox_group.h"

#include <torch/csrc/stable/ops.h>

#include <tuple>

#include "shared/common/contiguous.h"

namespace lelkern::prox {

void check_norm(double q) { STD_TORCH_CHECK(q > 1, "q must be greater than 1, got ", q); }

Groups interleaved_groups(int64_t numbers, int64_t outer, int64_t size, int64_t inner) {
    const bool fits = outer >= 0 && size >= 0 && inner >= 0 &&
                      (outer == 0 || inner == 0 || size <= numbers / outer / inner) &&
                      outer * size * inner == numbers;
    STD_TORCH_CHECK(fits, "groups of ", size, " numbers, ", inner,
                    " of them interleaved, do not make up a tensor of ", numbers);
    return {outer, size, inner, nullptr, nullptr, outer * inner, 0};
}

Groups listed_groups(Tensor& ptr, Tensor& indices, const Tensor& like) {
    STD_TORCH_CHECK(ptr.dim() == 1 && ptr.size(0) > 0, "group_ptr must be (G + 1,)");
    STD_TORCH_CHECK(indices.dim() == 1, "group_indices must be (E,)");
    ptr = checked("group_ptr", ptr, ScalarType::Long, like);
    indices = checked("group_indices", indices, ScalarType::Long, like);
    const auto data = [](const Tensor& of) {
        return static_cast<const int64_t*>(of.const_data_ptr());
    };
    return {0, 0, 0, data(ptr), data(indices), ptr.size(0) - 1, indices.size(0)};
}

namespace {

GroupProx unpack(const Tensor& w, const OptionalTensor& lam1, const Tensor& lam,
                 const OptionalTensor& ptr, const OptionalTensor& indices, double q) {
    check_floating(w);
    check_norm(q);
    STD_TORCH_CHECK(ptr.has_value() == indices.has_value(),
                    "group_ptr and group_indices must be given together");
    GroupProx prox{as_contiguous(w), lam1, lam, ptr, indices, {}, q};
    if (ptr) {
        prox.groups = listed_groups(*prox.ptr, *prox.indices, w);
    } else {
        STD_TORCH_CHECK(w.dim() == 3, "w must be (A, N, B), got ", w.dim(), " dimensions");
        prox.groups = interleaved_groups(w.numel(), w.size(0), w.size(1), w.size(2));
    }
    if (lam1) prox.lam1 = checked_numbers("lam1", *lam1, prox.groups.count, w);
    prox.lam = checked_numbers("lam", lam, prox.groups.count, w);
    return prox;
}

std::tuple<Tensor, Tensor> forward(const Tensor& w, OptionalTensor lam1, const Tensor& lam,
                                   OptionalTensor ptr, OptionalTensor indices, double q) {
    const GroupProx prox = unpack(w, lam1, lam, ptr, indices, q);
    Tensor x = torch::stable::empty_like(prox.w);
    Tensor root = torch::stable::new_empty(prox.lam, {prox.groups.count});
    prox_group(prox, x, root);
    return {x, root};
}

std::tuple<Tensor, Tensor, Tensor> backward(const Tensor& grad, const Tensor& w,
                                            OptionalTensor lam1, const Tensor& lam,
                                            OptionalTensor ptr, OptionalTensor indices, double q,
                                            const Tensor& root) {
    const GroupProx prox = unpack(w, lam1, lam, ptr, indices, q);
    const Tensor of_x = checked_like("grad", grad, w);
    STD_TORCH_CHECK(root.dim() == 1, "root must be (G,)");
    const Tensor roots = checked_numbers("root", root, prox.groups.count, w);
    Tensor of_w = torch::stable::empty_like(prox.w);
    Tensor of_lam1 = prox.lam1 ? torch::stable::empty_like(*prox.lam1) : no_gradient(w);
    Tensor of_lam = torch::stable::empty_like(prox.lam);
    prox_group_backward(prox, of_x, roots, of_w, prox.lam1 ? &of_lam1 : nullptr, of_lam);
    return {of_w, of_lam1, of_lam};
}

}  // namespace

void boxed_prox_group(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&forward);
    call(stack, inputs, outputs);
}

void boxed_prox_group_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&backward);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::prox
