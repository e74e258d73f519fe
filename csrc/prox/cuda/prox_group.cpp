// The prox of norms of groups on a GPU, between PyTorch's tensors and the kernels.

#include "prox/common/prox_group.h"

#include <torch/csrc/stable/accelerator.h>

#include "prox/cuda/prox_group.h"
#include "prox/cuda/prox_tensors.h"
#include "shared/cuda/register.h"

namespace lelkern::prox {
namespace {

using torch::stable::accelerator::DeviceGuard;

cuda::GroupTensor tensor_of(const GroupProx& prox, Tensor& to) {
    cuda::GroupTensor tensor{};
    tensor.from = device_data(prox.w);
    tensor.to = to.mutable_data_ptr();
    tensor.element = element_of(prox.w.scalar_type());
    tensor.numbers = prox.w.numel();
    tensor.groups = prox.groups;
    tensor.lam1 = prox.first();
    tensor.lam = prox.second();
    return tensor;
}

}  // namespace

void prox_group(const GroupProx& prox, Tensor& x, Tensor& root) {
    const int device = prox.w.get_device_index();
    const DeviceGuard guard(device);
    if (prox.groups.listed()) torch::stable::copy_(x, prox.w);  // what is in no group
    cuda::GroupTensor tensor = tensor_of(prox, x);
    tensor.roots = root.mutable_data_ptr();
    check_cuda(
        cuda::shrink_groups(&tensor, 1, prox.q, {1, nullptr}, false, current_stream(device)));
}

void prox_group_backward(const GroupProx& prox, const Tensor& grad, const Tensor& root,
                         Tensor& of_w, Tensor* of_lam1, Tensor& of_lam) {
    const int device = prox.w.get_device_index();
    const DeviceGuard guard(device);
    if (prox.groups.listed()) torch::stable::copy_(of_w, grad);
    cuda::GroupTensor tensor = tensor_of(prox, of_w);
    tensor.beside = device_data(grad);
    tensor.roots = device_data(root);
    const cuda::GradientRoom lam1(of_lam1, prox.groups.count), lam(&of_lam, prox.groups.count);
    check_cuda(cuda::shrink_groups_backward(tensor, prox.q, lam1.gradient(), lam.gradient(),
                                            current_stream(device)));
}

}  // namespace lelkern::prox

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::prox::boxed_prox_group>(m, "prox_group");
    lelkern::register_on_gpus<&lelkern::prox::boxed_prox_group_backward>(m, "prox_group_backward");
}
