// SigLIP's loss between PyTorch's tensors and the kernels.

#include "contrastive/common/siglip_op.h"
#include "contrastive/cuda/contrastive_call.h"
#include "contrastive/cuda/siglip.h"

namespace lelkern::contrastive {
namespace {

class SiglipCall : public Call<cuda::SigmoidLoss> {
  public:
    explicit SiglipCall(const SigmoidLoss& loss) : Call(loss) {
        kernels_.scale = data_here(loss.scale);
        kernels_.scale_element = element_of(loss.scale.scalar_type());
        kernels_.bias = data_here(loss.bias);
        kernels_.bias_element = element_of(loss.bias.scalar_type());
    }
};

}  // namespace

// What may be kept is left as it is: backward computes the similarities again.
SigmoidForward forward(const SigmoidLoss& loss, int64_t kept) {
    const SiglipCall call(loss);
    const int64_t rows = call.kernels().row_count();
    const ScalarType sums = sums_of(call.dtype());
    SigmoidForward result{call.empty({rows}, sums), call.empty({2, rows}, sums),
                          call.empty({kept}, sums)};
    const Tensor workspace =
        call.empty({cuda::forward_workspace(call.kernels())}, ScalarType::Byte);
    check_cuda(cuda::forward(call.kernels(), device_data(result.loss), device_data(result.slopes),
                             device_data(workspace), call.stream()));
    return result;
}

SigmoidGradients backward(const SigmoidLoss& loss, const Tensor& grad, const Tensor& slopes,
                          const Tensor&, bool column_gradients) {
    const SiglipCall call(loss);
    cuda::SigmoidGradients to{};
    Tensor rows;
    to.rows = call.gradients(loss.rows[0], rows);
    std::optional<Tensor> columns;
    if (column_gradients) to.columns = call.gradients(loss.columns[0], columns.emplace());
    const Tensor scale = call.empty({}, loss.scale.scalar_type());
    const Tensor bias = call.empty({}, loss.bias.scalar_type());
    to.scale = device_data(scale);
    to.bias = device_data(bias);
    const Tensor workspace =
        call.empty({cuda::backward_workspace(call.kernels(), column_gradients)}, ScalarType::Byte);
    check_cuda(cuda::backward(call.kernels(), call.data_here(grad), grad.stride(0),
                              call.data_here(slopes), to, device_data(workspace), call.stream()));
    return {rows, columns, scale, bias};
}

}  // namespace lelkern::contrastive
