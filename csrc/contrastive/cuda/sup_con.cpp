// SupCon on a GPU without the M x M matrix of similarities.

#include "contrastive/common/sup_con.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    m.impl("sup_con", &lelkern::contrastive::boxed_sup_con);
    m.impl("sup_con_backward", &lelkern::contrastive::boxed_sup_con_backward);
}
