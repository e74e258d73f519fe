// Sharpening: what is launched, and nothing of PyTorch.

#include "mixup/cuda/sharpen.cuh"

#include "mixup/cuda/row_launch.cuh"

namespace lelkern::mixup::cuda {
namespace {

// Calls f(a number of the type that is computed in, the threads that share a distribution).
template <typename F>
cudaError_t with_group(const Sharpening& sharpening, const F& f) {
    return with_computed(sharpening.element, [&](auto number) {
        // Neighbours in memory are of neighbouring distributions: a thread for each, if they are
        // enough for a GPU.
        constexpr int64_t enough = 8192;
        if (sharpening.inner > 1 && sharpening.count >= enough) return f(number, threads<1>());
        if (sharpening.classes <= kClassesOfAWarp) return f(number, threads<kWarp>());
        return f(number, threads<kThreads>());
    });
}

}  // namespace

cudaError_t sharpen(const Sharpening& sharpening, void* to, cudaStream_t stream) {
    return with_group(sharpening, [&](auto number, auto threads) {
        return LELKERN_LAUNCH((sharpen_rows<decltype(number), threads()>),
                              blocks<threads()>(sharpening.count), dim3(kThreads), 0, stream,
                              sharpening, to);
    });
}

cudaError_t sharpen_backward(const Sharpening& sharpening, const void* grad, void* to,
                             double* moved, cudaStream_t stream) {
    return with_group(sharpening, [&](auto number, auto threads) {
        return LELKERN_LAUNCH((sharpen_rows_backward<decltype(number), threads()>),
                              blocks<threads()>(sharpening.count), dim3(kThreads), 0, stream,
                              sharpening, grad, to, moved);
    });
}

cudaError_t temperature_gradient(const double* moved, int64_t count, const Scalar& temperature,
                                 void* to, cudaStream_t stream) {
    return LELKERN_LAUNCH(add_temperature_gradient, dim3(1), dim3(kThreads), 0, stream, moved,
                          count, temperature, to);
}

}  // namespace lelkern::mixup::cuda
