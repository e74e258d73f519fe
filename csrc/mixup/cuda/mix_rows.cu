// MixUp of rows: what is launched, and nothing of PyTorch.

#include "mixup/cuda/mix_rows.cuh"

namespace lelkern::mixup::cuda {
namespace {

template <typename From, typename To, bool backward>
cudaError_t launch(const Mix& mix, cudaStream_t stream) {
    return in_widest_vectors<From, To>(mix, [&](auto width, dim3 grid, unsigned chunks) {
        return LELKERN_LAUNCH((mix_rows_kernel<From, To, backward, width()>), grid,
                              dim3(kMixThreads), 0, stream, mix, chunks);
    });
}

}  // namespace

cudaError_t mix_rows(const Mix& mix, cudaStream_t stream) {
    return with_types(mix.types, [&](auto* from, auto* to) {
        using From = std::remove_pointer_t<decltype(from)>;
        using To = std::remove_pointer_t<decltype(to)>;
        return launch<From, To, false>(mix, stream);
    });
}

cudaError_t mix_rows_backward(const Mix& mix, cudaStream_t stream) {
    return with_types({false, mix.types.to}, [&](auto*, auto* to) {
        using To = std::remove_pointer_t<decltype(to)>;
        return launch<To, To, true>(mix, stream);
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
