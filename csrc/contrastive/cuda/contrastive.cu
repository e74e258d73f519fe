// The contrastive kernels for every type of embeddings, and nothing of PyTorch.

#include "contrastive/cuda/contrastive.cuh"

namespace lelkern::contrastive::cuda {
namespace {

constexpr int64_t kSmallestWorkspace = 256;  // for without one nothing would be launched

}  // namespace

int64_t forward_workspace(const Loss& loss) {
    return with_engine(loss, nullptr, nullptr, [](auto engine) {
        engine.forward(nullptr, nullptr, nullptr);
        return std::max(engine.bytes(), kSmallestWorkspace);
    });
}

int64_t backward_workspace(const Loss& loss, bool column_gradients) {
    return with_engine(loss, nullptr, nullptr, [&](auto engine) {
        engine.backward(nullptr, 0, nullptr, nullptr, {}, column_gradients);
        return std::max(engine.bytes(), kSmallestWorkspace);
    });
}

cudaError_t forward(const Loss& loss, void* losses, double* log_sum_exp, void* stats,
                    void* workspace, cudaStream_t stream) {
    return with_engine(loss, workspace, stream, [&](auto engine) {
        engine.forward(losses, log_sum_exp, stats);
        return engine.error();
    });
}

cudaError_t backward(const Loss& loss, const void* grad, int64_t grad_stride, const void* losses,
                     const double* log_sum_exp, const Gradients& to, void* workspace,
                     cudaStream_t stream) {
    return with_engine(loss, workspace, stream, [&](auto engine) {
        engine.backward(grad, grad_stride, losses, log_sum_exp, to, to.columns.data != nullptr);
        return engine.error();
    });
}

}  // namespace lelkern::contrastive::cuda
