// MixUp of labels: what is launched, and nothing of PyTorch.

#include "mixup/cuda/mix_labels.cuh"

namespace lelkern::mixup::cuda {

cudaError_t mix_labels(const LabelMix& mix, cudaStream_t stream) {
    return with_types({false, mix.type}, [&](auto*, auto* to) {
        using To = std::remove_pointer_t<decltype(to)>;
        return LELKERN_LAUNCH(mix_labels_kernel<To>,
                              grid_of((mix.rows + kLabelRows - 1) / kLabelRows, 1),
                              dim3(kMixThreads), 0, stream, mix);
    });
}

}  // namespace lelkern::mixup::cuda
