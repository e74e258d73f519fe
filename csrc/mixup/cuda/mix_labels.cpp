// MixUp of labels on a GPU, between PyTorch's tensors and the kernel.

#include "mixup/common/mix_labels.h"

#include <torch/csrc/stable/accelerator.h>

#include "mixup/cuda/mix_labels.h"
#include "mixup/cuda/mixing_tensors.h"
#include "shared/cuda/register.h"

namespace lelkern::mixup {
namespace {

cuda::Distributions distributions_of(const Tensor& rows) {
    return {device_data(rows), element_of(rows.scalar_type())};
}

}  // namespace

void mix_labels(const LabelMix& mix, Tensor& mixed) {
    const int device = mixed.get_device_index();
    const torch::stable::accelerator::DeviceGuard guard(device);
    cuda::LabelMix all{};
    if (mix.of_classes()) {
        all.classes = cuda::indices_of(mix.labels);
    } else {
        all.labels = distributions_of(mix.labels);
    }
    if (mix.guesses) all.guesses = distributions_of(*mix.guesses);
    all.labelled = mix.labels.size(0);
    all.unlabelled = mix.unlabelled();
    all.rows = mix.rows();
    all.num_classes = mix.num_classes;
    if (mix.order) all.row = cuda::indices_of(*mix.order);
    all.partner = cuda::indices_of(mix.perm);
    all.lam = device_data(mix.lam);
    all.to = mixed.mutable_data_ptr();
    all.type = element_of(mix.dtype);
    check_cuda(cuda::mix_labels(all, current_stream(device)));
}

}  // namespace lelkern::mixup

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::mixup::boxed_mix_labels>(m, "mix_labels");
}
