#include "contrastive/cpu/contrastive_instruction_sets.h"

namespace lelkern::contrastive {

template Kernels<double> kernels<double>(bool bf16);

}  // namespace lelkern::contrastive
