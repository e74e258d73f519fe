#include "contrastive/common/siglip.h"

#include <torch/csrc/stable/ops.h>

#include <tuple>

#include "contrastive/common/siglip_op.h"

namespace lelkern::contrastive {
namespace {

SigmoidLoss siglip_loss(const Tensor& query, const Tensor& key, const Tensor& logit_scale,
                        const Tensor& logit_bias, const std::optional<Tensor>& ids,
                        const std::optional<Tensor>& key_ids, bool normalize, int64_t bf16_terms) {
    check_embeddings("query", query, query);
    check_embeddings("key", key, query);
    check_codes("ids", ids, query.size(0));
    check_codes("key_ids", key_ids, key.size(0));
    STD_TORCH_CHECK(ids.has_value() == key_ids.has_value(), "ids and key_ids go together");
    check_number("logit_scale", logit_scale);
    check_number("logit_bias", logit_bias);
    check_bf16_terms(bf16_terms);
    return {{{query},
             {key},
             ids ? Positives::labelled : Positives::aligned,
             std::nullopt,
             std::nullopt,
             std::nullopt,
             ids,
             key_ids,
             false,
             normalize,
             bf16_terms},
            logit_scale,
            logit_bias};
}

std::tuple<Tensor, Tensor, Tensor> siglip_forward(const Tensor& query, const Tensor& key,
                                                  const Tensor& logit_scale,
                                                  const Tensor& logit_bias,
                                                  std::optional<Tensor> ids,
                                                  std::optional<Tensor> key_ids, bool normalize,
                                                  int64_t bf16_terms, int64_t kept) {
    const auto result = forward(
        siglip_loss(query, key, logit_scale, logit_bias, ids, key_ids, normalize, bf16_terms),
        kept);
    return {result.loss, result.slopes, result.kept};
}

// The gradient of keys that need none is empty.
std::tuple<Tensor, Tensor, Tensor, Tensor> siglip_backward(
    const Tensor& grad, const Tensor& query, const Tensor& key, const Tensor& logit_scale,
    const Tensor& logit_bias, std::optional<Tensor> ids, std::optional<Tensor> key_ids,
    bool normalize, int64_t bf16_terms, bool keys_need_grad, const Tensor& slopes,
    const Tensor& kept) {
    const SigmoidLoss loss =
        siglip_loss(query, key, logit_scale, logit_bias, ids, key_ids, normalize, bf16_terms);
    check_grad(grad, query.size(0), query.scalar_type());
    const ScalarType sums = sums_of(query.scalar_type());
    STD_TORCH_CHECK(slopes.numel() == 2 * query.size(0) && slopes.is_contiguous() &&
                        slopes.scalar_type() == sums && kept.is_contiguous() &&
                        kept.scalar_type() == sums,
                    "slopes and kept must be as forward returned them");
    const auto result = backward(loss, grad, slopes, kept, keys_need_grad);
    const Tensor none = torch::stable::new_empty(query, {0, query.size(1)});
    return {result.rows, result.columns.value_or(none), result.scale, result.bias};
}

}  // namespace

void boxed_siglip(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&siglip_forward);
    call(stack, inputs, outputs);
}

void boxed_siglip_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&siglip_backward);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::contrastive
