// What a CPU needs for distributions that lie side by side: arithmetic for whatever instruction set
// it runs.
#pragma once

#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>

namespace lelkern::mixup {

using torch::headeronly::ScalarType;

// The logits (K, n) of one image; `step`: from one augmentation to the next.
struct ImageLogits {
    const void* data;
    int64_t K, step, n;
};

// Functions over one distribution of n classes. `beta`: 1 / T, a number of the type that is
// computed in, and neither 0 nor infinite, or nan. `scratch`: room for what scratch_numbers says.
// Backward returns the sum over classes of the gradient of log p / T times log p.
struct RowKernels {
    void (*sharpen)(const void* x, int64_t n, double beta, bool logits, void* scratch, void* to);
    double (*sharpen_backward)(const void* grad, const void* x, int64_t n, double beta, bool logits,
                               void* scratch, void* to);
    void (*guess)(const ImageLogits& logits, double beta, void* scratch, void* to);
    // `to` has the steps of the logits.
    double (*guess_backward)(const void* grad, const ImageLogits& logits, double beta,
                             void* scratch, void* to);
};

// The kernels for probabilities or logits of a dtype.
const RowKernels& row_kernels(ScalarType dtype);

// How many numbers of the type that is computed in any of them writes to `scratch`. K: 1 for
// sharpening.
inline int64_t scratch_numbers(int64_t K, int64_t n) {
    constexpr int64_t vector = 64;  // as many as the widest vector has bytes, and more than numbers
    return (2 * K + 3) * (n + vector) + 3 * K;
}

}  // namespace lelkern::mixup
