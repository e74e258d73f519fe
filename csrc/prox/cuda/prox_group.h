// The prox of norms of groups on a GPU, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "prox/common/groups.h"
#include "prox/common/sgd_step.h"
#include "prox/cuda/threshold_gradient.h"
#include "shared/cuda/element.h"

namespace lelkern::prox::cuda {

// A contiguous tensor whose groups are shrunk. All memory is on the device.
struct GroupTensor {
    const void* from;
    void* to;  // `from`, or memory of its own
    const void*
        beside;       // gradients of a step of SGD before, or of the result; or a metric; or null
    void* buffer;     // of momentum of SGD; null without it
    Element element;  // of all these, but for a metric: that is of the type that is computed in
    int64_t numbers;
    Groups groups;
    Thresholds lam1, lam;
    void* roots;  // (G,), of the type that is computed in, for backward; or null
};

// What thresholds are multiplied by.
struct Scale {
    double value;
    const double* tensor;  // on the device, instead of `value`; or null
};

// All of these only queue kernels on a stream: no synchronisation, no allocation, no state.

// A launch for 24 tensors whose numbers are computed in float, and others for those in double; for
// q = 2 and in float one for 200 with `large_parameters`: whether the driver takes kernels with
// 32,764 bytes of them. Of listed groups, numbers in none of them stay as they are in `to`.
cudaError_t shrink_groups(const GroupTensor* tensors, int64_t count, double q, const Scale& scale,
                          bool large_parameters, cudaStream_t stream);

// The same after a step of SGD.
cudaError_t step_and_shrink_groups(const GroupTensor* tensors, int64_t count, double q,
                                   const Scale& scale, const SgdStep& step, bool large_parameters,
                                   cudaStream_t stream);

// The same in diagonal metrics instead of a step, for q = 2.
cudaError_t shrink_groups_in_metric(const GroupTensor* tensors, int64_t count,
                                    bool large_parameters, cudaStream_t stream);

// The step alone for the numbers of a tensor that are in none of its listed groups. `listed`: a
// byte for each number, all 0, which are written.
cudaError_t step_unlisted(const GroupTensor& tensor, const SgdStep& step, uint8_t* listed,
                          cudaStream_t stream);

// The gradients of shrink_groups, for one tensor, with its roots and without scale. `from` is w,
// `beside` the gradient of x, `to` that of w. Of listed groups, numbers in none stay in `to`.
cudaError_t shrink_groups_backward(const GroupTensor& tensor, double q,
                                   const ThresholdGradient& of_lam1,
                                   const ThresholdGradient& of_lam, cudaStream_t stream);

}  // namespace lelkern::prox::cuda
