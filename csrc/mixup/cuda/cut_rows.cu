// CutMix of images as rows: what is launched, and nothing of PyTorch.

#include "mixup/cuda/cut_rows.cuh"

namespace lelkern::mixup::cuda {
namespace {

template <typename From, typename To, bool backward, int width>
cudaError_t launch(const Cut& cut, cudaStream_t stream) {
    const int64_t chunks = (cut.features + chunk_of_block<width> - 1) / chunk_of_block<width>;
    return LELKERN_LAUNCH((cut_rows_kernel<From, To, backward, width>), grid_of(cut.rows, chunks),
                          dim3(kMixThreads), 0, stream, cut, static_cast<unsigned>(chunks));
}

template <typename From, typename To, bool backward>
cudaError_t launch_widest(const Cut& cut, cudaStream_t stream) {
    constexpr int width = vector_width<From, To>();
    const bool vectors = cut.features % width == 0 &&
                         aligned(cut.from, sizeof(From), width * sizeof(From)) &&
                         aligned(cut.to, sizeof(To), width * sizeof(To));
    return vectors ? launch<From, To, backward, width>(cut, stream)
                   : launch<From, To, backward, 1>(cut, stream);
}

}  // namespace

cudaError_t cut_rows(const Cut& cut, cudaStream_t stream) {
    return with_types(cut.types, [&](auto* from, auto* to) {
        using From = std::remove_pointer_t<decltype(from)>;
        using To = std::remove_pointer_t<decltype(to)>;
        return launch_widest<From, To, false>(cut, stream);
    });
}

cudaError_t cut_rows_backward(const Cut& cut, cudaStream_t stream) {
    return with_types({false, cut.types.to}, [&](auto*, auto* to) {
        using To = std::remove_pointer_t<decltype(to)>;
        return launch_widest<To, To, true>(cut, stream);
    });
}

}  // namespace lelkern::mixup::cuda
