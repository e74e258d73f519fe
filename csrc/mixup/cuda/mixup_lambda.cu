// Draws of MixUp's lambda: what is launched, and nothing of PyTorch.

#include "mixup/cuda/mixup_lambda.cuh"

namespace lelkern::mixup::cuda {

cudaError_t draw_lambda(const int64_t* seed, const double* alpha, bool fold, void* lam, int64_t n,
                        Element element, cudaStream_t stream) {
    return with_types({false, element}, [&](auto*, auto* to) {
        using To = std::remove_pointer_t<decltype(to)>;
        return LELKERN_LAUNCH(draw_lambda_kernel<To>,
                              grid_of((n + kDrawThreads - 1) / kDrawThreads, 1), dim3(kDrawThreads),
                              0, stream, seed, alpha, fold, static_cast<To*>(lam), n);
    });
}

}  // namespace lelkern::mixup::cuda
