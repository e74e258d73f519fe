#include "mixup/common/mix_labels.h"

#include "shared/common/contiguous.h"

namespace lelkern::mixup {
namespace {

using OptionalTensor = std::optional<Tensor>;

// Numbers (rows, C) of any floating type, contiguous. Raises for others.
Tensor distributions(const char* name, const Tensor& x, int64_t num_classes, const Tensor& like) {
    dispatch_floating(x.scalar_type(), [](auto*) {});  // which raises
    STD_TORCH_CHECK(x.dim() == 2 && x.size(1) == num_classes, name, " must be of ", num_classes,
                    " classes");
    STD_TORCH_CHECK(x.device() == like.device(), name, " must be on the device of the labels");
    return as_contiguous(x);
}

LabelMix checked(const Tensor& labels, const OptionalTensor& guesses, const Tensor& lam,
                 const Tensor& perm, const OptionalTensor& order, int64_t copies,
                 int64_t num_classes, ScalarType dtype) {
    STD_TORCH_CHECK(copies >= 0, "copies must be at least 0, got ", copies);
    const bool of_classes = labels.scalar_type() == ScalarType::Long;
    LabelMix mix{of_classes
                     ? checked_vector("labels", labels, ScalarType::Long, labels.numel(), labels)
                     : distributions("labels", labels, num_classes, labels),
                 guesses,
                 lam,
                 perm,
                 order,
                 copies,
                 num_classes,
                 dtype};
    if (guesses) mix.guesses = distributions("guesses", *guesses, num_classes, labels);
    mix.lam = checked_vector("lam", lam, arithmetic_of(dtype, dtype), mix.rows(), labels);
    mix.perm = checked_vector("perm", perm, ScalarType::Long, mix.rows(), labels);
    if (order) mix.order = checked_vector("order", *order, ScalarType::Long, mix.rows(), labels);
    return mix;
}

Tensor mixed_labels(const Tensor& labels, OptionalTensor guesses, const Tensor& lam,
                    const Tensor& perm, OptionalTensor order, int64_t copies, int64_t num_classes,
                    ScalarType dtype) {
    check_dtypes(dtype, dtype);
    const LabelMix mix = checked(labels, guesses, lam, perm, order, copies, num_classes, dtype);
    Tensor mixed = torch::stable::new_empty(labels, {mix.rows(), num_classes}, dtype);
    if (mixed.numel() > 0) mix_labels(mix, mixed);
    return mixed;
}

}  // namespace

void boxed_mix_labels(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&mixed_labels);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::mixup
