// NT-Xent on a GPU without the 2N x 2N matrix of similarities.

#include "contrastive/common/nt_xent.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    m.impl("nt_xent", &lelkern::contrastive::boxed_nt_xent);
    m.impl("nt_xent_backward", &lelkern::contrastive::boxed_nt_xent_backward);
}
