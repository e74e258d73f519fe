// Sharpening on a GPU.

#include "mixup/common/sharpen.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    m.impl("sharpen", &lelkern::mixup::boxed_sharpen);
    m.impl("sharpen_backward", &lelkern::mixup::boxed_sharpen_backward);
}
