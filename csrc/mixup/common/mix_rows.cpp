#include "mixup/common/mix_rows.h"

#include <tuple>

namespace lelkern::mixup {
namespace {

using OptionalTensor = std::optional<Tensor>;

RowMix checked(const Tensor& first, const OptionalTensor& second, const Tensor& lam,
               const Tensor& perm, const OptionalTensor& order, const OptionalTensor& scale,
               const OptionalTensor& offset, int64_t inner, ScalarType dtype) {
    check_dtypes(first.scalar_type(), dtype);
    const ScalarType computed = arithmetic_of(first.scalar_type(), dtype);
    RowMix mix{image_rows("first", first),
               std::nullopt,
               lam,
               perm,
               order,
               channel_values(scale, offset, inner, computed, first),
               dtype,
               computed};
    if (second) {
        mix.second = image_rows("second", *second);
        STD_TORCH_CHECK(mix.second->features == mix.first.features &&
                            mix.second->dtype == mix.first.dtype &&
                            second->device() == first.device(),
                        "second must have the features, dtype and device of first");
    }
    mix.lam = checked_vector("lam", lam, computed, mix.rows(), first);
    mix.perm = checked_vector("perm", perm, ScalarType::Long, mix.rows(), first);
    if (order) mix.order = checked_vector("order", *order, ScalarType::Long, mix.rows(), first);
    return mix;
}

Tensor forward(const Tensor& first, OptionalTensor second, const Tensor& lam, const Tensor& perm,
               OptionalTensor order, OptionalTensor scale, OptionalTensor offset, int64_t inner,
               ScalarType dtype) {
    const RowMix mix = checked(first, second, lam, perm, order, scale, offset, inner, dtype);
    Tensor mixed = torch::stable::new_empty(first, {mix.rows(), mix.first.features}, dtype);
    if (mixed.numel() > 0) mix_rows(mix, mixed);
    return mixed;
}

std::tuple<Tensor, Tensor, Tensor> backward(const Tensor& grad, const Tensor& first,
                                            OptionalTensor second, const Tensor& lam,
                                            const Tensor& perm, OptionalTensor order,
                                            OptionalTensor scale, OptionalTensor offset,
                                            int64_t inner, ScalarType dtype, bool lam_needs_grad) {
    const RowMix mix = checked(first, second, lam, perm, order, scale, offset, inner, dtype);
    const int64_t features = mix.first.features;
    const Tensor of_mixed = checked_gradient(grad, dtype, mix.rows(), features, first);
    const bool to_rows = is_floating(mix.first.dtype);
    const auto none = [&] {
        return to_rows ? torch::stable::new_empty(first, {0, features})
                       : torch::stable::new_empty(lam, {0});
    };
    Tensor of_first =
        to_rows ? torch::stable::new_empty(first, {mix.first.count, features}) : none();
    Tensor of_second =
        to_rows && second ? torch::stable::new_empty(first, {mix.second->count, features}) : none();
    Tensor of_lam = lam_needs_grad ? torch::stable::new_zeros(lam, {mix.rows()}) : none();
    if (of_mixed.numel() > 0) {
        if (to_rows) mix_rows_backward(mix, of_mixed, of_first, second ? &of_second : nullptr);
        if (lam_needs_grad) lam_backward(mix, of_mixed, of_lam);
    }
    return {of_first, of_second, of_lam};
}

}  // namespace

void boxed_mix_rows(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&forward);
    call(stack, inputs, outputs);
}

void boxed_mix_rows_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&backward);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::mixup
