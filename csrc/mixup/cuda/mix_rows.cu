// MixUp of rows: what is launched, and nothing of PyTorch.

#include "mixup/cuda/mix_rows.cuh"

namespace lelkern::mixup::cuda {
namespace {

template <typename From, typename To, bool backward, int width>
cudaError_t launch(const Mix& mix, cudaStream_t stream) {
    const int64_t chunks = (mix.features + chunk_of_block<width> - 1) / chunk_of_block<width>;
    return LELKERN_LAUNCH((mix_rows_kernel<From, To, backward, width>), grid_of(mix.rows, chunks),
                          dim3(kMixThreads), 0, stream, mix, static_cast<unsigned>(chunks));
}

template <typename From, typename To, bool backward>
cudaError_t launch_widest(const Mix& mix, cudaStream_t stream) {
    constexpr int width = vector_width<From, To>();
    const bool vectors = mix.features % width == 0 &&
                         aligned(mix.from, sizeof(From), width * sizeof(From)) &&
                         aligned(mix.to, sizeof(To), width * sizeof(To));
    return vectors ? launch<From, To, backward, width>(mix, stream)
                   : launch<From, To, backward, 1>(mix, stream);
}

}  // namespace

cudaError_t mix_rows(const Mix& mix, cudaStream_t stream) {
    return with_types(mix.types, [&](auto* from, auto* to) {
        using From = std::remove_pointer_t<decltype(from)>;
        using To = std::remove_pointer_t<decltype(to)>;
        return launch_widest<From, To, false>(mix, stream);
    });
}

cudaError_t mix_rows_backward(const Mix& mix, cudaStream_t stream) {
    return with_types({false, mix.types.to}, [&](auto*, auto* to) {
        using To = std::remove_pointer_t<decltype(to)>;
        return launch_widest<To, To, true>(mix, stream);
    });
}

cudaError_t lam_backward(const Mix& mix, void* of_lam, cudaStream_t stream) {
    return with_types(mix.types, [&](auto* from, auto* to) {
        using From = std::remove_pointer_t<decltype(from)>;
        using To = std::remove_pointer_t<decltype(to)>;
        return LELKERN_LAUNCH((lam_backward_kernel<From, To>), grid_of(mix.rows, 1),
                              dim3(kMixThreads), 0, stream, mix,
                              static_cast<NumberOf<To>*>(of_lam));
    });
}

}  // namespace lelkern::mixup::cuda
