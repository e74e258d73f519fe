// The contrastive losses between PyTorch's tensors and the kernels.

#include "contrastive/cuda/contrastive.h"
#include "contrastive/cuda/contrastive_call.h"

namespace lelkern::contrastive {
namespace {

// The loss as the kernels take it.
class LossCall : public Call<cuda::Loss> {
  public:
    explicit LossCall(const Loss& loss) : Call(loss) {
        kernels_.temperature = data_here(loss.temperature);
        kernels_.temperature_element = element_of(loss.temperature.scalar_type());
        kernels_.decoupled = loss.decoupled;
    }
};

// Where forward leaves for backward how many positives each row has by label, if there is room for
// that. Similarities are not kept, but computed again.
int* counts_in(const Tensor& kept, const LossCall& call) {
    const bool counts = call.kernels().positives == Positives::labelled;
    return counts && kept.numel() > 0 && kept.numel() >= call.kernels().losses()
               ? static_cast<int*>(call.data_here(kept))
               : nullptr;
}

}  // namespace

ForwardResult forward(const Loss& loss, bool stats, bool slope, int64_t kept) {
    const LossCall call(loss);
    const int64_t losses = call.kernels().losses();
    const ScalarType sums = sums_of(call.dtype());
    ForwardResult result{call.empty({losses}, sums), call.empty({losses}, ScalarType::Double),
                         call.empty({slope ? losses : 0}, ScalarType::Double),
                         call.empty({kept}, sums), call.empty({2, stats ? losses : 0}, sums)};
    const Tensor workspace =
        call.empty({cuda::forward_workspace(call.kernels())}, ScalarType::Byte);
    check_cuda(cuda::forward(call.kernels(), device_data(result.loss),
                             static_cast<double*>(device_data(result.log_sum_exp)),
                             slope ? static_cast<double*>(device_data(result.slope)) : nullptr,
                             stats ? device_data(result.stats) : nullptr,
                             counts_in(result.kept, call), device_data(workspace), call.stream()));
    return result;
}

BackwardResult backward(const Loss& loss, const Tensor& grad, const ForwardResult& saved,
                        bool column_gradients) {
    const LossCall call(loss);
    BackwardResult result;
    cuda::Gradients to{};
    result.rows.resize(loss.rows.size());
    for (std::size_t i = 0; i < loss.rows.size(); ++i) {
        to.rows[i] = call.gradients(loss.rows[i], result.rows[i]);
    }
    if (column_gradients) {
        result.columns.resize(1);
        to.columns = call.gradients(loss.columns[0], result.columns[0]);
    }
    if (loss.given) to.given = call.gradients(*loss.given, result.given.emplace());
    result.temperature = call.empty({}, loss.temperature.scalar_type());
    to.temperature = device_data(result.temperature);
    const Tensor workspace =
        call.empty({cuda::backward_workspace(call.kernels(), column_gradients)}, ScalarType::Byte);
    check_cuda(cuda::backward(
        call.kernels(), call.data_here(grad), grad.stride(0), call.data_here(saved.loss),
        static_cast<const double*>(call.data_here(saved.log_sum_exp)),
        saved.slope.numel() == 0 ? nullptr
                                 : static_cast<const double*>(call.data_here(saved.slope)),
        counts_in(saved.kept, call), to, device_data(workspace), call.stream()));
    return result;
}

}  // namespace lelkern::contrastive
