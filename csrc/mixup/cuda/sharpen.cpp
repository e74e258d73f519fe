// Sharpening on a GPU.

#include "mixup/common/sharpen.h"
#include "shared/cuda/register.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::mixup::boxed_sharpen>(m, "sharpen");
    lelkern::register_on_gpus<&lelkern::mixup::boxed_sharpen_backward>(m, "sharpen_backward");
}
