// Soft thresholds on a GPU, between PyTorch's tensors and the kernels.

#include "prox/common/prox_l1.h"

#include <torch/csrc/stable/accelerator.h>

#include "prox/cuda/prox_l1.h"
#include "prox/cuda/prox_tensors.h"
#include "shared/cuda/register.h"

namespace lelkern::prox {
namespace {

using torch::stable::accelerator::DeviceGuard;

cuda::Softening softening_of(const Tensor& w, const Tensor& lam) {
    return {device_data(w), element_of(w.scalar_type()), w.numel(), cuda::thresholds_of(lam)};
}

}  // namespace

void prox_l1(const Tensor& w, const Tensor& lam, Tensor& x) {
    const int device = w.get_device_index();
    const DeviceGuard guard(device);
    check_cuda(cuda::soften(softening_of(w, lam), x.mutable_data_ptr(), current_stream(device)));
}

void prox_l1_backward(const Tensor& grad, const Tensor& w, const Tensor& lam, Tensor& of_w,
                      Tensor& of_lam) {
    const int device = w.get_device_index();
    const DeviceGuard guard(device);
    const cuda::Softening softening = softening_of(w, lam);
    const cuda::GradientRoom room(&of_lam, cuda::blocks_of(softening));
    check_cuda(cuda::soften_backward(softening, device_data(grad), of_w.mutable_data_ptr(),
                                     room.gradient(), current_stream(device)));
}

}  // namespace lelkern::prox

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::prox::boxed_prox_l1>(m, "prox_l1");
    lelkern::register_on_gpus<&lelkern::prox::boxed_prox_l1_backward>(m, "prox_l1_backward");
}
