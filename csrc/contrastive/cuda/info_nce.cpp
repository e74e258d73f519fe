// InfoNCE on a GPU without the matrix of similarities.

#include "contrastive/common/info_nce.h"

#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    m.impl("info_nce", TORCH_BOX(&lelkern::contrastive::info_nce_forward));
    m.impl("info_nce_backward", TORCH_BOX(&lelkern::contrastive::info_nce_backward));
}
