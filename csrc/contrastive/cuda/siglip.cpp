// SigLIP's loss on a GPU without the N x M matrix of similarities.

#include "contrastive/common/siglip.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    m.impl("siglip", &lelkern::contrastive::boxed_siglip);
    m.impl("siglip_backward", &lelkern::contrastive::boxed_siglip_backward);
}
