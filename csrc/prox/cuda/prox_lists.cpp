// The prox of many tensors in place on a GPU, between PyTorch's tensors and the kernels.

#include "prox/common/prox_lists.h"

#include <torch/csrc/stable/accelerator.h>

#include "prox/cuda/prox_group.h"
#include "prox/cuda/prox_tensors.h"
#include "shared/cuda/register.h"

namespace lelkern::prox {

void prox_lists(const ProxLists& lists, const SgdStep* step) {
    std::vector<cuda::GroupTensor> tensors;
    tensors.reserve(lists.entries.size());
    bool in_metric = false;
    for (const ListedProx& entry : lists.entries) {
        if (entry.numbers == 0) continue;
        cuda::GroupTensor& tensor = tensors.emplace_back();
        in_metric = entry.metric != nullptr;
        const void* const beside = in_metric ? entry.metric : entry.grad;
        tensor = {entry.w,       entry.w,      beside,     entry.buffer, element_of(entry.dtype),
                  entry.numbers, entry.groups, entry.lam1, entry.lam,    nullptr};
    }
    if (tensors.empty()) return;
    const Tensor& any = lists.kept.front();  // of what the tensors go with, on their device
    const int device = any.get_device_index();
    const torch::stable::accelerator::DeviceGuard guard(device);
    const cudaStream_t stream = current_stream(device);
    cuda::Scale scale{lists.scale, nullptr};
    if (lists.scale_tensor) {
        scale.tensor = static_cast<const double*>(device_data(*lists.scale_tensor));
    }
    const auto count = static_cast<int64_t>(tensors.size());
    const bool large = takes_large_parameters();
    if (in_metric) {
        check_cuda(cuda::shrink_groups_in_metric(tensors.data(), count, large, stream));
        return;
    }
    if (step == nullptr) {
        check_cuda(cuda::shrink_groups(tensors.data(), count, lists.q, scale, large, stream));
        return;
    }
    check_cuda(
        cuda::step_and_shrink_groups(tensors.data(), count, lists.q, scale, *step, large, stream));
    for (const cuda::GroupTensor& tensor : tensors) {
        if (!tensor.groups.listed()) continue;
        const Tensor listed = torch::stable::new_zeros(any, {tensor.numbers}, ScalarType::Byte);
        auto* const bytes = static_cast<uint8_t*>(listed.mutable_data_ptr());
        check_cuda(cuda::step_unlisted(tensor, *step, bytes, stream));
    }
}

}  // namespace lelkern::prox

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::prox::boxed_prox_group_in_place>(m, "prox_group_");
    lelkern::register_on_gpus<&lelkern::prox::boxed_prox_sgd>(m, "prox_sgd_");
    lelkern::register_on_gpus<&lelkern::prox::boxed_prox_metric>(m, "prox_metric_");
}
