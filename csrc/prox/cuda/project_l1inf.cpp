// Projection onto the l1-infinity ball on a GPU, between PyTorch's tensors and the kernels.

#include "prox/common/project_l1inf.h"

#include <torch/csrc/stable/accelerator.h>

#include "prox/cuda/project_l1inf.h"
#include "prox/cuda/prox_tensors.h"
#include "shared/cuda/register.h"

namespace lelkern::prox {
namespace {

using torch::stable::accelerator::DeviceGuard;

cuda::BallProjection projection_of(const Tensor& x, const Thresholds& radius, void* levels) {
    return {device_data(x), element_of(x.scalar_type()), x.size(0), x.size(1), x.size(2), radius,
            levels};
}

}  // namespace

void project_l1inf(const Tensor& x, const Tensor& radius, Tensor& y, Tensor& level) {
    const int device = x.get_device_index();
    const DeviceGuard guard(device);
    const cuda::BallProjection projection =
        projection_of(x, cuda::thresholds_of(radius), level.mutable_data_ptr());
    check_cuda(cuda::project_balls(projection, y.mutable_data_ptr(), current_stream(device)));
}

void project_l1inf_backward(const Tensor& grad, const Tensor& x, const Tensor& level, Tensor& of_x,
                            Tensor& of_radius) {
    const int device = x.get_device_index();
    const DeviceGuard guard(device);
    const cuda::GradientRoom room(&of_radius, x.size(0));
    const cuda::BallProjection projection = projection_of(x, {nullptr, false}, device_data(level));
    check_cuda(cuda::project_balls_backward(projection, device_data(grad), of_x.mutable_data_ptr(),
                                            room.gradient(), current_stream(device)));
}

}  // namespace lelkern::prox

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::prox::boxed_project_l1inf>(m, "project_l1inf");
    lelkern::register_on_gpus<&lelkern::prox::boxed_project_l1inf_backward>(
        m, "project_l1inf_backward");
}
