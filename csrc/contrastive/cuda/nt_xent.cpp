// NT-Xent on a GPU without the 2N x 2N matrix of similarities.

#include "contrastive/common/nt_xent.h"
#include "shared/cuda/register.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::contrastive::boxed_nt_xent>(m, "nt_xent");
    lelkern::register_on_gpus<&lelkern::contrastive::boxed_nt_xent_backward>(m, "nt_xent_backward");
}
