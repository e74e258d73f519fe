// SigLIP's sigmoid loss (Zhai et al. 2023, equation 1): the op on every device.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>

namespace lelkern::contrastive {

// Their arguments and results are on the stack, in the order of the schema.
void boxed_siglip(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_siglip_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::contrastive
