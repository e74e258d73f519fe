// Sharpening (Berthelot et al. 2019, equation 7): the op on every device.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>

namespace lelkern::mixup {

// Their arguments and results are on the stack, in the order of the schema.
void boxed_sharpen(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_sharpen_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::mixup
