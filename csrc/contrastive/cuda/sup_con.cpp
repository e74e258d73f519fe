// SupCon on a GPU without the M x M matrix of similarities.

#include "contrastive/common/sup_con.h"

#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    m.impl("sup_con", TORCH_BOX(&lelkern::contrastive::sup_con_forward));
    m.impl("sup_con_backward", TORCH_BOX(&lelkern::contrastive::sup_con_backward));
}
