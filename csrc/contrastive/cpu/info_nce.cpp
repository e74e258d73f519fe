// InfoNCE on the CPU without the matrix of similarities.

#include "contrastive/common/info_nce.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("info_nce", &lelkern::contrastive::boxed_info_nce);
    m.impl("info_nce_backward", &lelkern::contrastive::boxed_info_nce_backward);
}
