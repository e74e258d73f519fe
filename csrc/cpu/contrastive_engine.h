// The engine below NT-Xent, InfoNCE and SupCon: forward and backward of a matrix of similarities
// that exists one tile at a time.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <optional>
#include <vector>

#include "cpu/contrastive.h"

namespace lelkern::contrastive {

using torch::stable::Tensor;

// A loss and its inputs.
struct Loss {
    std::vector<Tensor> rows;     // (N, D) each, stacked
    std::vector<Tensor> columns;  // likewise; none: the rows themselves
    Positives positives;
    std::optional<Tensor> given;                        // (N, D), of Positives::given
    std::optional<Tensor> row_ids, column_ids, labels;  // whole numbers, contiguous int64
    bool both;
    double temperature;
    bool normalize, bf16;
};

struct ForwardResult {
    Tensor loss;         // of every row, and if `both` of every column, in the accumulation dtype
    Tensor log_sum_exp;  // likewise, in float64
    Tensor kept;         // what backward need not compute again
    Tensor stats;  // (2, losses): is the best candidate a positive?, entropy in nats; or (2, 0)
};

// `kept`: how many numbers may be kept for backward.
ForwardResult forward(const Loss& loss, bool stats, int64_t kept);

struct BackwardResult {
    std::vector<Tensor> rows, columns;  // like those of the loss
    std::optional<Tensor> given;
    double temperature;
};

// `column_gradients`: whether the columns need theirs.
BackwardResult backward(const Loss& loss, const Tensor& grad, const ForwardResult& saved,
                        bool column_gradients);

}  // namespace lelkern::contrastive
