// MixUp of rows on a GPU, between PyTorch's tensors and the kernels.

#include "mixup/common/mix_rows.h"

#include <torch/csrc/stable/accelerator.h>

#include "mixup/cuda/mix_rows.h"
#include "mixup/cuda/mixing_tensors.h"
#include "shared/cuda/register.h"

namespace lelkern::mixup {
namespace {

// What all kernels take, but for the rows.
cuda::Mix mix_of(const RowMix& mix) {
    cuda::check_size(mix.rows(), mix.first.features);
    cuda::Mix all{};
    all.partner = cuda::indices_of(mix.perm);
    if (mix.order) all.row = cuda::indices_of(*mix.order);
    all.lam = device_data(mix.lam);
    all.channels = cuda::pointers_of(mix.channels);
    all.rows = mix.rows();
    all.features = mix.first.features;
    all.types = cuda::types_of(mix.first.dtype, mix.dtype);
    return all;
}

cuda::RowPointers both(const ImageRows& first, const std::optional<ImageRows>& second) {
    cuda::RowPointers rows = cuda::pointers_of(first);
    if (second) {
        rows.second = device_data(second->values);
        rows.second_stride = second->stride;
    }
    return rows;
}

}  // namespace

void mix_rows(const RowMix& mix, Tensor& mixed) {
    const int device = mixed.get_device_index();
    const torch::stable::accelerator::DeviceGuard guard(device);
    cuda::Mix all = mix_of(mix);
    all.from = both(mix.first, mix.second);
    all.to = cuda::pointers_of(mixed);
    check_cuda(cuda::mix_rows(all, current_stream(device)));
}

void mix_rows_backward(const RowMix& mix, const Tensor& grad, Tensor& of_first, Tensor* of_second) {
    const int device = grad.get_device_index();
    const torch::stable::accelerator::DeviceGuard guard(device);
    cuda::Mix all = mix_of(mix);
    const Tensor other = cuda::inverse_of(mix.perm, current_stream(device));
    std::optional<Tensor> place;
    if (mix.order) place = cuda::inverse_of(*mix.order, current_stream(device));
    all.row = nullptr;
    all.partner = cuda::indices_of(other);
    if (place) all.place = cuda::indices_of(*place);
    all.from = cuda::pointers_of(grad);
    all.to = cuda::pointers_of(of_first);
    if (of_second != nullptr) {
        all.to.second = of_second->mutable_data_ptr();
        all.to.second_stride = of_second->size(1);
    }
    check_cuda(cuda::mix_rows_backward(all, current_stream(device)));
}

void lam_backward(const RowMix& mix, const Tensor& grad, Tensor& of_lam) {
    const int device = grad.get_device_index();
    const torch::stable::accelerator::DeviceGuard guard(device);
    cuda::Mix all = mix_of(mix);
    all.from = both(mix.first, mix.second);
    all.to = cuda::pointers_of(grad);
    check_cuda(cuda::lam_backward(all, of_lam.mutable_data_ptr(), current_stream(device)));
}

}  // namespace lelkern::mixup

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::mixup::boxed_mix_rows>(m, "mix_rows");
    lelkern::register_on_gpus<&lelkern::mixup::boxed_mix_rows_backward>(m, "mix_rows_backward");
}
