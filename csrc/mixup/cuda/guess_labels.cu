// Label guessing: what is launched, and nothing of PyTorch.

#include "mixup/cuda/guess_labels.cuh"

#include "mixup/cuda/row_launch.cuh"

namespace lelkern::mixup::cuda {
namespace {

// Calls f(a number of the type that is computed in, the threads that share an image).
template <typename F>
cudaError_t with_group(const Guessing& guessing, const F& f) {
    return with_computed(guessing.element, [&](auto number) {
        if (guessing.C <= kClassesOfAWarp) return f(number, threads<kWarp>());
        return f(number, threads<kThreads>());
    });
}

}  // namespace

cudaError_t guess(const Guessing& guessing, void* to, cudaStream_t stream) {
    return with_group(guessing, [&](auto number, auto threads) {
        using T = decltype(number);
        return LELKERN_LAUNCH((guess_rows<T, threads()>), blocks<threads()>(guessing.B),
                              dim3(kThreads), 0, stream, guessing, static_cast<T*>(to));
    });
}

int64_t guess_backward_workspace(const Guessing& guessing) {
    return 2 * guessing.B * (guessing.C + guessing.K);
}

cudaError_t guess_backward(const Guessing& guessing, const void* grad, void* to, double* moved,
                           void* workspace, cudaStream_t stream) {
    return with_group(guessing, [&](auto number, auto threads) {
        using T = decltype(number);
        T* const numbers = static_cast<T*>(workspace);
        const int64_t each = guessing.B * guessing.C;
        const GuessWorkspace<T> parts{numbers, numbers + each,
                                      reinterpret_cast<Softmax<T>*>(numbers + 2 * each)};
        return LELKERN_LAUNCH((guess_rows_backward<T, threads()>), blocks<threads()>(guessing.B),
                              dim3(kThreads), 0, stream, guessing, static_cast<const T*>(grad), to,
                              moved, parts);
    });
}

}  // namespace lelkern::mixup::cuda
