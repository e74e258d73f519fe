// InfoNCE (van den Oord et al. 2018; MoCo's with a queue; CLIP's in both directions): the op on
// every device.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>

namespace lelkern::contrastive {

// Their arguments and results are on the stack, in the order of the schema.
void boxed_info_nce(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_info_nce_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::contrastive
