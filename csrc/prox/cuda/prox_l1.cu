// Soft thresholds: what is launched, and nothing of PyTorch.

#include "prox/cuda/prox_l1.cuh"

namespace lelkern::prox::cuda {
namespace {

template <typename F>
cudaError_t with_element(Element element, const F& f) {
    switch (element) {
        case Element::float64:
            return f(static_cast<double*>(nullptr));
        case Element::float32:
            return f(static_cast<float*>(nullptr));
        case Element::float16:
            return f(static_cast<__half*>(nullptr));
        default:
            return f(static_cast<__nv_bfloat16*>(nullptr));
    }
}

// Calls launch(a null pointer to the type, width) with the widest vectors that there are in all.
template <typename F>
cudaError_t in_widest_vectors(const Softening& softening,
                              std::initializer_list<const void*> addresses, const F& launch) {
    return with_element(softening.element, [&](auto* type) {
        constexpr int width = kSoftenedBytes / sizeof(*type);
        bool whole = softening.count % width == 0;
        for (const void* address : addresses) {
            whole = whole && reinterpret_cast<uintptr_t>(address) % kSoftenedBytes == 0;
        }
        return whole ? launch(type, std::integral_constant<int, width>())
                     : launch(type, std::integral_constant<int, 1>());
    });
}

dim3 grid_of(const Softening& softening) {
    return dim3(static_cast<unsigned>(blocks_of(softening)));
}

// Where thresholds lie, of which one alone is not read as a vector.
const void* own_thresholds(const Softening& softening) {
    return softening.lam.each ? softening.lam.values : nullptr;
}

}  // namespace

int64_t blocks_of(const Softening& softening) {
    return (softening.count + kSoftenedByBlock - 1) / kSoftenedByBlock;
}

cudaError_t soften(const Softening& softening, void* to, cudaStream_t stream) {
    return in_widest_vectors(
        softening, {softening.w, to, own_thresholds(softening)}, [&](auto* type, auto width) {
            using E = std::remove_pointer_t<decltype(type)>;
            return LELKERN_LAUNCH((soften_kernel<E, width()>), grid_of(softening), dim3(kThreads),
                                  0, stream, softening, static_cast<E*>(to));
        });
}

cudaError_t soften_backward(const Softening& softening, const void* grad, void* to,
                            const ThresholdGradient& of_lam, cudaStream_t stream) {
    const cudaError_t error = in_widest_vectors(
        softening, {softening.w, grad, to, own_thresholds(softening)}, [&](auto* type, auto width) {
            using E = std::remove_pointer_t<decltype(type)>;
            return LELKERN_LAUNCH((soften_backward_kernel<E, width()>), grid_of(softening),
                                  dim3(kThreads), 0, stream, softening, static_cast<const E*>(grad),
                                  static_cast<E*>(to), of_lam);
        });
    if (error != cudaSuccess) return error;
    return finish(of_lam, blocks_of(softening), softening.element, stream);
}

}  // namespace lelkern::prox::cuda
