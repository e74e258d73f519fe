// CutMix of images as rows on a GPU, between PyTorch's tensors and the kernels.

#include "mixup/common/cut_rows.h"

#include <torch/csrc/stable/accelerator.h>

#include "mixup/cuda/cut_rows.h"
#include "mixup/cuda/mixing_tensors.h"
#include "shared/cuda/register.h"

namespace lelkern::mixup {
namespace {

// What both kernels take, but for the rows.
cuda::Cut cut_of(const RowCut& cut) {
    cuda::check_size(cut.x.count, cut.x.features);
    cuda::Cut all{};
    all.boxes = cuda::indices_of(cut.boxes);
    all.partner = cuda::indices_of(cut.perm);
    all.channels = cuda::pointers_of(cut.channels);
    all.rows = cut.x.count;
    all.features = cut.x.features;
    all.height = static_cast<uint32_t>(cut.shape.height);
    all.width = static_cast<uint32_t>(cut.shape.width);
    all.inner = static_cast<uint32_t>(cut.shape.inner);
    all.types = cuda::types_of(cut.x.dtype, cut.dtype);
    return all;
}

}  // namespace

void cut_rows(const RowCut& cut, Tensor& result) {
    const int device = result.get_device_index();
    const torch::stable::accelerator::DeviceGuard guard(device);
    cuda::Cut all = cut_of(cut);
    all.from = cuda::pointers_of(cut.x);
    all.to = cuda::pointers_of(result);
    check_cuda(cuda::cut_rows(all, current_stream(device)));
}

void cut_rows_backward(const RowCut& cut, const Tensor& grad, Tensor& of_x) {
    const int device = grad.get_device_index();
    const torch::stable::accelerator::DeviceGuard guard(device);
    cuda::Cut all = cut_of(cut);
    const Tensor other = cuda::inverse_of(cut.perm, current_stream(device));
    all.partner = cuda::indices_of(other);
    all.from = cuda::pointers_of(grad);
    all.to = cuda::pointers_of(of_x);
    check_cuda(cuda::cut_rows_backward(all, current_stream(device)));
}

}  // namespace lelkern::mixup

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::mixup::boxed_cut_rows>(m, "cut_rows");
    lelkern::register_on_gpus<&lelkern::mixup::boxed_cut_rows_backward>(m, "cut_rows_backward");
}
