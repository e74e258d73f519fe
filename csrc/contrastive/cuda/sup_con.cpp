// SupCon on a GPU without the M x M matrix of similarities.

#include "contrastive/common/sup_con.h"
#include "shared/cuda/register.h"

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::contrastive::boxed_sup_con>(m, "sup_con");
    lelkern::register_on_gpus<&lelkern::contrastive::boxed_sup_con_backward>(m, "sup_con_backward");
}
