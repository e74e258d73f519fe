#include "contrastive/common/sup_con.h"

#include <tuple>

#include "contrastive/common/contrastive_op.h"

namespace lelkern::contrastive {
namespace {

Loss sup_con_loss(const Tensor& z, const Tensor& labels, const Tensor& temperature,
                  const std::optional<Tensor>& ids, bool normalize, int64_t bf16_terms) {
    check_embeddings("z", z, z);
    check_codes("labels", labels, z.size(0));
    check_codes("ids", ids, z.size(0));
    check_number("temperature", temperature);
    check_bf16_terms(bf16_terms);
    return {{{z},
             {},
             Positives::labelled,
             std::nullopt,
             ids,
             ids,
             labels,
             std::nullopt,
             false,
             normalize,
             bf16_terms},
            temperature,
            false};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> sup_con_forward(
    const Tensor& z, const Tensor& labels, const Tensor& temperature, std::optional<Tensor> ids,
    bool normalize, int64_t bf16_terms, bool stats, bool slope, int64_t kept) {
    const auto result = forward(sup_con_loss(z, labels, temperature, ids, normalize, bf16_terms),
                                stats, slope, kept);
    return {result.loss, result.log_sum_exp, result.slope, result.kept, result.stats};
}

std::tuple<Tensor, Tensor> sup_con_backward(const Tensor& grad, const Tensor& z,
                                            const Tensor& labels, const Tensor& temperature,
                                            std::optional<Tensor> ids, bool normalize,
                                            int64_t bf16_terms, const Tensor& loss,
                                            const Tensor& log_sum_exp, const Tensor& slope,
                                            const Tensor& kept) {
    const ForwardResult saved{loss, log_sum_exp, slope, kept, loss};
    const Loss what = sup_con_loss(z, labels, temperature, ids, normalize, bf16_terms);
    check_saved(grad, saved, z.size(0), z.scalar_type());
    const auto result = backward(what, grad, saved, false);
    return {result.rows[0], result.temperature};
}

}  // namespace

void boxed_sup_con(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&sup_con_forward);
    call(stack, inputs, outputs);
}

void boxed_sup_con_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&sup_con_backward);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::contrastive
