// Label guessing on a GPU.

#include "mixup/common/guess_labels.h"
#include "shared/cuda/register.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::mixup::boxed_guess_labels>(m, "guess_labels");
    lelkern::register_on_gpus<&lelkern::mixup::boxed_guess_labels_backward>(
        m, "guess_labels_backward");
}
