// InfoNCE on a GPU without the matrix of similarities.

#include "contrastive/common/info_nce.h"
#include "shared/cuda/register.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::contrastive::boxed_info_nce>(m, "info_nce");
    lelkern::register_on_gpus<&lelkern::contrastive::boxed_info_nce_backward>(m,
                                                                              "info_nce_backward");
}
