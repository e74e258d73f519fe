// The host functions of csrc/mixup/cuda/distributions.h for Python, over the kernels of sharpen.cu
// and guess_labels.cu.

#include <vector>

#include "cuda_emulation_arrays.h"
#include "mixup/cuda/guess_labels.cu"
#include "mixup/cuda/sharpen.cu"

namespace lelkern::mixup::cuda {
namespace {

using emulation::Array;
using emulation::check;
using emulation::check_dtype;
using emulation::check_shape;
using emulation::element_of;

Scalar scalar_of(const Array& temperature) {
    check_shape("temperature", temperature, {});
    return {temperature.data, element_of(temperature)};
}

Sharpening sharpening_of(const Array& x, bool logits, const Array& temperature) {
    check(x.shape.size() == 3, "x is not (outer, classes, inner)");
    return {x.data,     element_of(x), x.shape[0] * x.shape[2], x.shape[1],
            x.shape[2], logits,        scalar_of(temperature)};
}

Guessing guessing_of(const Array& logits, const Array& temperature) {
    check(logits.shape.size() == 3, "logits are not (K, B, C)");
    return {logits.data,     element_of(logits), logits.shape[0],
            logits.shape[1], logits.shape[2],    scalar_of(temperature)};
}

const char* computed_in(const Array& x) { return x.dtype == "float64" ? "float64" : "float32"; }

int64_t emulated_sharpen(const Array& x, bool logits, const Array& temperature, Array& to) {
    check_dtype("to", to, x.dtype);
    check_shape("to", to, x.shape);
    return sharpen(sharpening_of(x, logits, temperature), to.data, nullptr);
}

int64_t emulated_sharpen_backward(const Array& grad, const Array& x, bool logits,
                                  const Array& temperature, Array& to, Array& moved) {
    for (const Array* each : {&grad, static_cast<const Array*>(&to)}) {
        check_dtype("grad or to", *each, x.dtype);
        check_shape("grad or to", *each, x.shape);
    }
    const Sharpening sharpening = sharpening_of(x, logits, temperature);
    check_dtype("moved", moved, "float64");
    check_shape("moved", moved, {sharpening.count});
    return sharpen_backward(sharpening, grad.data, to.data, static_cast<double*>(moved.data),
                            nullptr);
}

int64_t emulated_guess(const Array& logits, const Array& temperature, Array& to) {
    const Guessing guessing = guessing_of(logits, temperature);
    check_dtype("to", to, computed_in(logits));
    check_shape("to", to, {guessing.B, guessing.C});
    return guess(guessing, to.data, nullptr);
}

int64_t emulated_guess_backward_workspace(const Array& logits, const Array& temperature) {
    return guess_backward_workspace(guessing_of(logits, temperature));
}

int64_t emulated_guess_backward(const Array& grad, const Array& logits, const Array& temperature,
                                Array& to, Array& moved, Array& workspace) {
    const Guessing guessing = guessing_of(logits, temperature);
    check_dtype("grad", grad, computed_in(logits));
    check_shape("grad", grad, {guessing.B, guessing.C});
    check_dtype("to", to, logits.dtype);
    check_shape("to", to, logits.shape);
    check_dtype("moved", moved, "float64");
    check_shape("moved", moved, {guessing.B});
    check_dtype("workspace", workspace, computed_in(logits));
    check_shape("workspace", workspace, {guess_backward_workspace(guessing)});
    return guess_backward(guessing, grad.data, to.data, static_cast<double*>(moved.data),
                          workspace.data, nullptr);
}

int64_t emulated_temperature_gradient(const double* moved, int64_t count, const Array& temperature,
                                      Array& to) {
    check_dtype("to", to, temperature.dtype);
    check_shape("to", to, {});
    return temperature_gradient(moved, count, scalar_of(temperature), to.data, nullptr);
}

}  // namespace

LELKERN_EXPORT(sharpen, emulated_sharpen);
LELKERN_EXPORT(sharpen_backward, emulated_sharpen_backward);
LELKERN_EXPORT(guess, emulated_guess);
LELKERN_EXPORT(guess_backward_workspace, emulated_guess_backward_workspace);
LELKERN_EXPORT(guess_backward, emulated_guess_backward);
LELKERN_EXPORT(temperature_gradient, emulated_temperature_gradient);

}  // namespace lelkern::mixup::cuda
