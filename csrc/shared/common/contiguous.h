// Tensors whose numbers lie side by side.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

namespace lelkern {

// x, or a copy of it. PyTorch's own takes its way through the dispatcher also for x itself.
inline torch::stable::Tensor as_contiguous(const torch::stable::Tensor& x) {
    return x.is_contiguous() ? x : torch::stable::contiguous(x);
}

}  // namespace lelkern
