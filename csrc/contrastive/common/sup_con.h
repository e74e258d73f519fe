// SupCon (Khosla et al. 2020, equation 2: L_out): the op on every device.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>

namespace lelkern::contrastive {

// Their arguments and results are on the stack, in the order of the schema.
void boxed_sup_con(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_sup_con_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::contrastive
