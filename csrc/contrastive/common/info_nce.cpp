#include "contrastive/common/info_nce.h"

#include <torch/csrc/stable/ops.h>

#include <tuple>

#include "contrastive/common/contrastive_op.h"

namespace lelkern::contrastive {
namespace {

Loss info_nce_loss(const Tensor& query, const Tensor& positive,
                   const std::optional<Tensor>& negatives, const Tensor& temperature,
                   const std::optional<Tensor>& ids, const std::optional<Tensor>& negative_ids,
                   bool normalize, bool symmetric, bool decoupled, int64_t bf16_terms) {
    check_embeddings("query", query, query);
    check_embeddings("positive", positive, query);
    STD_TORCH_CHECK(query.size(0) == positive.size(0), "positive must have as many rows as query");
    check_codes("ids", ids, query.size(0));
    check_number("temperature", temperature);
    check_bf16_terms(bf16_terms);
    Loss loss{{{query},
               {positive},
               Positives::aligned,
               std::nullopt,
               ids,
               ids,
               std::nullopt,
               std::nullopt,
               symmetric,
               normalize,
               bf16_terms},
              temperature,
              decoupled};
    if (negatives) {
        check_embeddings("negatives", *negatives, query);
        check_codes("negative_ids", negative_ids, negatives->size(0));
        STD_TORCH_CHECK(!symmetric, "a queue of negatives has no losses of its own");
        STD_TORCH_CHECK(ids.has_value() == negative_ids.has_value(),
                        "ids and negative_ids go together");
        loss.columns = {*negatives};
        loss.positives = Positives::given;
        loss.given = positive;
        loss.column_ids = negative_ids;
    }
    return loss;
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> info_nce_forward(
    const Tensor& query, const Tensor& positive, std::optional<Tensor> negatives,
    const Tensor& temperature, std::optional<Tensor> ids, std::optional<Tensor> negative_ids,
    bool normalize, bool symmetric, bool decoupled, int64_t bf16_terms, bool stats, bool slope,
    int64_t kept) {
    const auto result =
        forward(info_nce_loss(query, positive, negatives, temperature, ids, negative_ids, normalize,
                              symmetric, decoupled, bf16_terms),
                stats, slope, kept);
    return {result.loss, result.log_sum_exp, result.slope, result.kept, result.stats};
}

// `keys_need_grad`: those of the queue, or without one the positives. The gradient of what needs
// none is empty.
std::tuple<Tensor, Tensor, Tensor, Tensor> info_nce_backward(
    const Tensor& grad, const Tensor& query, const Tensor& positive,
    std::optional<Tensor> negatives, const Tensor& temperature, std::optional<Tensor> ids,
    std::optional<Tensor> negative_ids, bool normalize, bool symmetric, bool decoupled,
    int64_t bf16_terms, bool keys_need_grad, const Tensor& loss, const Tensor& log_sum_exp,
    const Tensor& slope, const Tensor& kept) {
    const ForwardResult saved{loss, log_sum_exp, slope, kept, loss};
    const Loss what = info_nce_loss(query, positive, negatives, temperature, ids, negative_ids,
                                    normalize, symmetric, decoupled, bf16_terms);
    check_saved(grad, saved, (symmetric ? 2 : 1) * query.size(0), query.scalar_type());
    const auto result = backward(what, grad, saved, keys_need_grad);
    const Tensor none = torch::stable::new_empty(query, {0, query.size(1)});
    const Tensor of_columns = keys_need_grad ? result.columns[0] : none;
    return {result.rows[0], negatives ? *result.given : of_columns, negatives ? of_columns : none,
            result.temperature};
}

}  // namespace

void boxed_info_nce(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&info_nce_forward);
    call(stack, inputs, outputs);
}

void boxed_info_nce_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&info_nce_backward);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::contrastive
