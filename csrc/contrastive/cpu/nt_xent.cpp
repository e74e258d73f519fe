// NT-Xent on the CPU without the 2N x 2N matrix of similarities.

#include "contrastive/common/nt_xent.h"

#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("nt_xent", TORCH_BOX(&lelkern::contrastive::nt_xent_forward));
    m.impl("nt_xent_backward", TORCH_BOX(&lelkern::contrastive::nt_xent_backward));
}
