// What the ops of the contrastive family hand to the kernels of their device, which define forward
// and backward. The public functions explain their errors; the checks here keep a direct call of an
// op inside its memory.
#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <optional>
#include <vector>

#include "contrastive/common/contrastive_positives.h"
#include "shared/common/dispatch_floating.h"

namespace lelkern::contrastive {

using torch::stable::Tensor;

// What is compared with what, and which pairs are positives.
struct Comparison {
    std::vector<Tensor> rows;     // (N, D) each, stacked
    std::vector<Tensor> columns;  // likewise; none: the rows themselves
    Positives positives;
    std::optional<Tensor> given;  // (N, D), of Positives::given
    // Whole numbers, contiguous int64. Those of columns are the rows' own where there are no
    // others.
    std::optional<Tensor> row_ids, column_ids, labels, column_labels;
    bool both;  // columns have losses, too
    bool normalize;
    // As the sum of how many bfloat16 numbers each may be multiplied; 0: only as it is.
    int64_t bf16_terms;
};

// A loss whose rows choose among their candidates.
struct Loss : Comparison {
    Tensor temperature;
    // The positive is compared with the negatives alone, not with itself as well: of none the loss
    // and the log-sum-exp are log 0, without a gradient. Not with labels.
    bool decoupled;
};

struct ForwardResult {
    Tensor loss;         // of every row, and if `both` of every column, in the accumulation dtype
    Tensor log_sum_exp;  // likewise, in float64
    Tensor slope;        // the derivative of each loss by beta, in float64; or (0,)
    Tensor kept;         // what backward need not compute again
    Tensor stats;  // (2, losses): is the best candidate a positive?, entropy in nats; or (2, 0)
};

// `slope`: whether there will be a gradient of the temperature; `kept`: how many numbers may be
// kept for backward.
ForwardResult forward(const Loss& loss, bool stats, bool slope, int64_t kept);

struct BackwardResult {
    std::vector<Tensor> rows, columns;  // like those of the loss
    std::optional<Tensor> given;
    Tensor temperature;
};

// `column_gradients`: whether the columns need theirs. That of the temperature is nan without a
// slope.
BackwardResult backward(const Loss& loss, const Tensor& grad, const ForwardResult& saved,
                        bool column_gradients);

inline ScalarType sums_of(ScalarType embeddings) {
    return embeddings == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

inline void check_embeddings(const char* name, const Tensor& z, const Tensor& like) {
    STD_TORCH_CHECK(z.dim() == 2 && z.size(1) == like.size(1), name,
                    " must be (N, D), D as for all");
    STD_TORCH_CHECK(z.scalar_type() == like.scalar_type(), name, " must have the dtype of all");
    dispatch_floating(z.scalar_type(), [](auto*) {});  // which raises where threads cannot
}

inline void check_codes(const char* name, const std::optional<Tensor>& codes, int64_t count) {
    STD_TORCH_CHECK(!codes || (codes->dim() == 1 && codes->size(0) == count &&
                               codes->scalar_type() == ScalarType::Long && codes->is_contiguous()),
                    name, " must be a whole number for each row: contiguous int64");
}

inline void check_bf16_terms(int64_t terms) {
    STD_TORCH_CHECK(terms >= 0 && terms <= 2, "bf16_terms must be 0, 1 or 2, got ", terms);
}

inline void check_number(const char* name, const Tensor& number) {
    STD_TORCH_CHECK(number.dim() == 0, name, " must have no dimensions");
    dispatch_floating(number.scalar_type(), [](auto*) {});
}

inline void check_grad(const Tensor& grad, int64_t losses, ScalarType embeddings) {
    STD_TORCH_CHECK(
        grad.dim() == 1 && grad.size(0) == losses && grad.scalar_type() == sums_of(embeddings),
        "grad must have one number for each loss, in its dtype");
}

inline void check_saved(const Tensor& grad, const ForwardResult& saved, int64_t losses,
                        ScalarType embeddings) {
    check_grad(grad, losses, embeddings);
    const ScalarType sums = sums_of(embeddings);
    STD_TORCH_CHECK(saved.loss.numel() == losses && saved.loss.is_contiguous() &&
                        saved.loss.scalar_type() == sums && saved.log_sum_exp.numel() == losses &&
                        saved.log_sum_exp.is_contiguous() &&
                        saved.log_sum_exp.scalar_type() == ScalarType::Double &&
                        (saved.slope.numel() == losses || saved.slope.numel() == 0) &&
                        saved.slope.is_contiguous() &&
                        saved.slope.scalar_type() == ScalarType::Double &&
                        saved.kept.is_contiguous() && saved.kept.scalar_type() == sums,
                    "loss, log_sum_exp, slope and kept must be as forward returned them");
}

}  // namespace lelkern::contrastive
