// Sharpening and guessing on a GPU, between PyTorch's tensors and the kernels.

#include "mixup/common/distributions.h"

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/ops.h>

#include "mixup/cuda/distributions.h"
#include "shared/cuda/tensors.h"

namespace lelkern::mixup {
namespace {

using torch::stable::accelerator::DeviceGuard;

cuda::Scalar scalar(const Tensor& temperature) {
    return {device_data(temperature), element_of(temperature.scalar_type())};
}

cuda::Sharpening sharpening(const Tensor& x, const Tensor& temperature, const Layout& layout,
                            bool logits) {
    return {
        device_data(x), element_of(x.scalar_type()), layout.count(), layout.classes, layout.inner,
        logits,         scalar(temperature)};
}

cuda::Guessing guessing(const Tensor& logits, const Tensor& temperature) {
    return {device_data(logits), element_of(logits.scalar_type()),
            logits.size(0),      logits.size(1),
            logits.size(2),      scalar(temperature)};
}

// Room for what distributions moved, of which the gradient of the temperature is made.
class Moved {
  public:
    Moved(const Tensor& like, int64_t count, Tensor* of_temperature)
        : count_(count), of_temperature_(of_temperature) {
        if (of_temperature_ != nullptr) {
            numbers_ = torch::stable::new_empty(like, {count}, ScalarType::Double);
        }
    }

    double* data() const {
        return of_temperature_ == nullptr ? nullptr : static_cast<double*>(device_data(numbers_));
    }

    void finish(const Tensor& temperature, cudaStream_t stream) const {
        if (of_temperature_ == nullptr) return;
        check_cuda(cuda::temperature_gradient(data(), count_, scalar(temperature),
                                              device_data(*of_temperature_), stream));
    }

  private:
    const int64_t count_;
    Tensor* const of_temperature_;
    Tensor numbers_;
};

}  // namespace

void sharpen(const Tensor& x, const Tensor& temperature, const Layout& layout, bool logits,
             Tensor& to) {
    const DeviceGuard guard(x.get_device_index());
    check_cuda(cuda::sharpen(sharpening(x, temperature, layout, logits), device_data(to),
                             current_stream(x.get_device_index())));
}

void sharpen_backward(const Tensor& grad, const Tensor& x, const Tensor& temperature,
                      const Layout& layout, bool logits, Tensor& of_x, Tensor* of_temperature) {
    const DeviceGuard guard(x.get_device_index());
    const cudaStream_t stream = current_stream(x.get_device_index());
    const Moved moved(x, layout.count(), of_temperature);
    check_cuda(cuda::sharpen_backward(sharpening(x, temperature, layout, logits), device_data(grad),
                                      device_data(of_x), moved.data(), stream));
    moved.finish(temperature, stream);
}

void guess_labels(const Tensor& logits, const Tensor& temperature, Tensor& to) {
    const DeviceGuard guard(logits.get_device_index());
    check_cuda(cuda::guess(guessing(logits, temperature), device_data(to),
                           current_stream(logits.get_device_index())));
}

void guess_labels_backward(const Tensor& grad, const Tensor& logits, const Tensor& temperature,
                           Tensor& of_logits, Tensor* of_temperature) {
    const DeviceGuard guard(logits.get_device_index());
    const cudaStream_t stream = current_stream(logits.get_device_index());
    const cuda::Guessing what = guessing(logits, temperature);
    const Moved moved(logits, logits.size(1), of_temperature);
    const Tensor workspace = torch::stable::new_empty(
        logits, {cuda::guess_backward_workspace(what)}, grad.scalar_type());
    check_cuda(cuda::guess_backward(what, device_data(grad), device_data(of_logits), moved.data(),
                                    device_data(workspace), stream));
    moved.finish(temperature, stream);
}

}  // namespace lelkern::mixup
