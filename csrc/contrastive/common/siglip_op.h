// What the op of SigLIP's loss hands to the kernels of its device, which define forward and
// backward.
#pragma once

#include "contrastive/common/contrastive_op.h"

namespace lelkern::contrastive {

// Each pair of a row and a column is a decision with the logit scale s + bias.
struct SigmoidLoss : Comparison {
    Tensor scale, bias;
};

struct SigmoidForward {
    Tensor loss;    // of every row, in the accumulation dtype
    Tensor slopes;  // (2, rows): its derivatives by bias and scale
    Tensor kept;    // what backward need not compute again
};

// `kept`: how many numbers may be kept for backward.
SigmoidForward forward(const SigmoidLoss& loss, int64_t kept);

struct SigmoidGradients {
    Tensor rows;
    std::optional<Tensor> columns;
    Tensor scale, bias;  // numbers
};

// `column_gradients`: whether the columns need theirs.
SigmoidGradients backward(const SigmoidLoss& loss, const Tensor& grad, const Tensor& slopes,
                          const Tensor& kept, bool column_gradients);

}  // namespace lelkern::contrastive
