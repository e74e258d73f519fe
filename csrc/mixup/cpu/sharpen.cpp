// Sharpening on a CPU.

#include "mixup/common/sharpen.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("sharpen", &lelkern::mixup::boxed_sharpen);
    m.impl("sharpen_backward", &lelkern::mixup::boxed_sharpen_backward);
}
