// Draws of MixUp's lambda on a GPU, between PyTorch's tensors and the kernel.

#include "mixup/common/mixup_lambda.h"

#include <torch/csrc/stable/accelerator.h>

#include "mixup/cuda/mixup_lambda.h"
#include "shared/cuda/register.h"
#include "shared/cuda/tensors.h"

namespace lelkern::mixup {

void draw_lambda(const Tensor& seed, const Tensor& alpha, bool fold, Tensor& lam) {
    const int device = lam.get_device_index();
    const torch::stable::accelerator::DeviceGuard guard(device);
    check_cuda(cuda::draw_lambda(static_cast<const int64_t*>(device_data(seed)),
                                 static_cast<const double*>(device_data(alpha)), fold,
                                 lam.mutable_data_ptr(), lam.numel(), element_of(lam.scalar_type()),
                                 current_stream(device)));
}

}  // namespace lelkern::mixup

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::mixup::boxed_mixup_lambda>(m, "mixup_lambda");
}
