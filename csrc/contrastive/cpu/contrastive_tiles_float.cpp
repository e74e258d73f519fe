#include "contrastive/cpu/contrastive_instruction_sets.h"

namespace lelkern::contrastive {

template Kernels<float> kernels<float>(bool bf16);

}  // namespace lelkern::contrastive
