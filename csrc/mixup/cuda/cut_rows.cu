// CutMix of images as rows: what is launched, and nothing of PyTorch.

#include "mixup/cuda/cut_rows.cuh"

namespace lelkern::mixup::cuda {
namespace {

template <typename From, typename To, bool backward>
cudaError_t launch(const Cut& cut, cudaStream_t stream) {
    return in_widest_vectors<From, To>(cut, [&](auto width, dim3 grid, unsigned chunks) {
        return LELKERN_LAUNCH((cut_rows_kernel<From, To, backward, width()>), grid,
                              dim3(kMixThreads), 0, stream, cut, chunks);
    });
}

}  // namespace

cudaError_t cut_rows(const Cut& cut, cudaStream_t stream) {
    return with_types(cut.types, [&](auto* from, auto* to) {
        using From = std::remove_pointer_t<decltype(from)>;
        using To = std::remove_pointer_t<decltype(to)>;
        return launch<From, To, false>(cut, stream);
    });
}

cudaError_t cut_rows_backward(const Cut& cut, cudaStream_t stream) {
    return with_types({false, cut.types.to}, [&](auto*, auto* to) {
        using To = std::remove_pointer_t<decltype(to)>;
        return launch<To, To, true>(cut, stream);
    });
}

}  // namespace lelkern::mixup::cuda
