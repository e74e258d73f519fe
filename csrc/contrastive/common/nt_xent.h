// NT-Xent (SimCLR, Chen et al. 2020, equation 1): the op on every device.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>

namespace lelkern::contrastive {

// Their arguments and results are on the stack, in the order of the schema.
void boxed_nt_xent(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_nt_xent_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::contrastive
