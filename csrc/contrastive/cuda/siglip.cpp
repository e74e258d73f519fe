// SigLIP's loss on a GPU without the N x M matrix of similarities.

#include "contrastive/common/siglip.h"
#include "shared/cuda/register.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::contrastive::boxed_siglip>(m, "siglip");
    lelkern::register_on_gpus<&lelkern::contrastive::boxed_siglip_backward>(m, "siglip_backward");
}
