#include "mixup/common/guess_labels.h"

#include <torch/csrc/stable/ops.h>

#include <tuple>

#include "mixup/common/distributions.h"
#include "shared/common/contiguous.h"

namespace lelkern::mixup {
namespace {

Tensor empty_guesses(const Tensor& logits) {
    STD_TORCH_CHECK(logits.dim() == 3 && logits.size(0) > 0 && logits.size(2) > 0,
                    "logits must be (K, B, C), with at least one augmentation and one class");
    return torch::stable::new_empty(logits, {logits.size(1), logits.size(2)},
                                    computed_in(logits.scalar_type()));
}

Tensor guess_labels_forward(const Tensor& logits, const Tensor& temperature) {
    check_distributions(logits, temperature);
    Tensor guesses = empty_guesses(logits);
    if (guesses.numel() > 0) {
        guess_labels(as_contiguous(logits), temperature, guesses);
    }
    return guesses;
}

std::tuple<Tensor, Tensor> guess_labels_gradients(const Tensor& grad, const Tensor& logits,
                                                  const Tensor& temperature,
                                                  bool temperature_needs_grad) {
    check_distributions(logits, temperature);
    check_gradient(grad, empty_guesses(logits));
    const Tensor from = as_contiguous(logits);
    Tensor of_logits = torch::stable::empty_like(from);
    Tensor of_temperature = temperature_gradient(temperature, of_logits, temperature_needs_grad);
    if (grad.numel() > 0) {
        guess_labels_backward(as_contiguous(grad), from, temperature, of_logits,
                              temperature_needs_grad ? &of_temperature : nullptr);
    }
    return {of_logits, of_temperature};
}

}  // namespace

void boxed_guess_labels(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&guess_labels_forward);
    call(stack, inputs, outputs);
}

void boxed_guess_labels_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&guess_labels_gradients);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::mixup
