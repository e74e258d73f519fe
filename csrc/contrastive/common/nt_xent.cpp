#include "contrastive/common/nt_xent.h"

#include <tuple>

#include "contrastive/common/contrastive_op.h"

namespace lelkern::contrastive {
namespace {

Loss nt_xent_loss(const Tensor& z1, const Tensor& z2, const Tensor& temperature,
                  const std::optional<Tensor>& ids, bool normalize, bool decoupled,
                  int64_t bf16_terms) {
    check_embeddings("z1", z1, z1);
    check_embeddings("z2", z2, z1);
    STD_TORCH_CHECK(z1.size(0) == z2.size(0), "z2 must have as many rows as z1");
    check_codes("ids", ids, z1.size(0));
    check_number("temperature", temperature);
    check_bf16_terms(bf16_terms);
    return {{{z1, z2},
             {},
             Positives::paired,
             std::nullopt,
             ids,
             ids,
             std::nullopt,
             std::nullopt,
             false,
             normalize,
             bf16_terms},
            temperature,
            decoupled};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> nt_xent_forward(
    const Tensor& z1, const Tensor& z2, const Tensor& temperature, std::optional<Tensor> ids,
    bool normalize, bool decoupled, int64_t bf16_terms, bool stats, bool slope, int64_t kept) {
    const auto result =
        forward(nt_xent_loss(z1, z2, temperature, ids, normalize, decoupled, bf16_terms), stats,
                slope, kept);
    return {result.loss, result.log_sum_exp, result.slope, result.kept, result.stats};
}

std::tuple<Tensor, Tensor, Tensor> nt_xent_backward(const Tensor& grad, const Tensor& z1,
                                                    const Tensor& z2, const Tensor& temperature,
                                                    std::optional<Tensor> ids, bool normalize,
                                                    bool decoupled, int64_t bf16_terms,
                                                    const Tensor& loss, const Tensor& log_sum_exp,
                                                    const Tensor& slope, const Tensor& kept) {
    const ForwardResult saved{loss, log_sum_exp, slope, kept, loss};
    const Loss what = nt_xent_loss(z1, z2, temperature, ids, normalize, decoupled, bf16_terms);
    check_saved(grad, saved, 2 * z1.size(0), z1.scalar_type());
    const auto result = backward(what, grad, saved, false);
    return {result.rows[0], result.rows[1], result.temperature};
}

}  // namespace

void boxed_nt_xent(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&nt_xent_forward);
    call(stack, inputs, outputs);
}

void boxed_nt_xent_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&nt_xent_backward);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::contrastive
