// Projection of rows on a GPU, between PyTorch's tensors and the kernels.

#include "prox/common/project_simplex.h"

#include <torch/csrc/stable/accelerator.h>

#include "prox/cuda/project_simplex.h"
#include "prox/cuda/prox_tensors.h"
#include "shared/cuda/register.h"

namespace lelkern::prox {
namespace {

using torch::stable::accelerator::DeviceGuard;

cuda::Projection projection_of(const Tensor& rows, bool l1, const Thresholds& radius, void* theta) {
    return {device_data(rows),
            element_of(rows.scalar_type()),
            rows.size(0),
            rows.size(1),
            l1,
            radius,
            theta};
}

}  // namespace

void project_simplex(const Tensor& x, const Tensor& radius, bool l1, Tensor& y, Tensor& theta) {
    const int device = x.get_device_index();
    const DeviceGuard guard(device);
    const cuda::Projection projection =
        projection_of(x, l1, cuda::thresholds_of(radius), theta.mutable_data_ptr());
    check_cuda(cuda::project_rows(projection, y.mutable_data_ptr(), current_stream(device)));
}

void project_simplex_backward(const Tensor& grad, bool l1, const Tensor& y, const Tensor& theta,
                              Tensor& of_x, Tensor& of_radius) {
    const int device = y.get_device_index();
    const DeviceGuard guard(device);
    const cuda::GradientRoom room(&of_radius, y.size(0));
    const cuda::Projection projection = projection_of(y, l1, {nullptr, false}, device_data(theta));
    check_cuda(cuda::project_rows_backward(projection, device_data(grad), of_x.mutable_data_ptr(),
                                           room.gradient(), current_stream(device)));
}

}  // namespace lelkern::prox

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<&lelkern::prox::boxed_project_simplex>(m, "project_simplex");
    lelkern::register_on_gpus<&lelkern::prox::boxed_project_simplex_backward>(
        m, "project_simplex_backward");
}
