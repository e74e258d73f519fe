// Sharpening and guessing on a GPU, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "shared/cuda/element.h"

namespace lelkern::mixup::cuda {

// A number on the device.
struct Scalar {
    const void* data;
    Element element;
};

// Distributions of probabilities or of logits along the middle one of a contiguous (outer, classes,
// inner); `count` is outer times inner.
struct Sharpening {
    const void* x;
    Element element;
    int64_t count, classes, inner;
    bool logits;
    Scalar temperature;
};

// Logits (K, B, C), contiguous.
struct Guessing {
    const void* logits;
    Element element;
    int64_t K, B, C;
    Scalar temperature;
};

// All of them only queue kernels on a stream: no synchronisation, no allocation, no state. There
// has to be something to do: a distribution at least.

// to, like x.
cudaError_t sharpen(const Sharpening& sharpening, void* to, cudaStream_t stream);

// `grad` and `to` are like x. `moved`: a number for each distribution, which gets the sum of the
// gradient of log2 p / T times log2 p; null if nobody needs it.
cudaError_t sharpen_backward(const Sharpening& sharpening, const void* grad, void* to,
                             double* moved, cudaStream_t stream);

// to (B, C) of the type that is computed in: double for double, float otherwise.
cudaError_t guess(const Guessing& guessing, void* to, cudaStream_t stream);

// Numbers of the type that is computed in, which the next function writes to.
int64_t guess_backward_workspace(const Guessing& guessing);

// `grad` (B, C) of the type that is computed in, `to` like the logits. `moved`: one for each image.
cudaError_t guess_backward(const Guessing& guessing, const void* grad, void* to, double* moved,
                           void* workspace, cudaStream_t stream);

// The gradient of the temperature, in its type, from what backward left in `moved`.
cudaError_t temperature_gradient(const double* moved, int64_t count, const Scalar& temperature,
                                 void* to, cudaStream_t stream);

}  // namespace lelkern::mixup::cuda
