// Forward and backward of SigLIP's loss on a GPU, for any host compiler. Every function only queues
// kernels on a stream: no synchronisation, no allocation.
#pragma once

#include "contrastive/cuda/contrastive.h"

namespace lelkern::contrastive::cuda {

// Each pair of a row and a column is a decision with the logit scale s + bias.
struct SigmoidLoss : Comparison {
    const void *scale, *bias;  // numbers
    Element scale_element, bias_element;
};

// Bytes of a workspace, aligned to 256.
int64_t forward_workspace(const SigmoidLoss& loss);
int64_t backward_workspace(const SigmoidLoss& loss, bool column_gradients);

// losses: (rows,); slopes: (2, rows), their derivatives by bias and scale.
cudaError_t forward(const SigmoidLoss& loss, void* losses, void* slopes, void* workspace,
                    cudaStream_t stream);

struct SigmoidGradients {
    Matrix rows;
    Matrix columns;      // no data: not wanted
    void *scale, *bias;  // numbers like those of the loss
};

// grad: of losses, grad_stride numbers apart (0 for one that is the same for all).
cudaError_t backward(const SigmoidLoss& loss, const void* grad, int64_t grad_stride,
                     const void* slopes, const SigmoidGradients& to, void* workspace,
                     cudaStream_t stream);

}  // namespace lelkern::contrastive::cuda
