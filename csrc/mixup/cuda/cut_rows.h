// CutMix of images as rows on a GPU, for any host compiler.
#pragma once

#include "mixup/cuda/mixing.h"

namespace lelkern::mixup::cuda {

// Image i becomes image partner[i] inside of box i: top, left, height, width.
struct Cut {
    RowPointers from, to;
    const int64_t *boxes, *partner;
    ChannelPointers channels;
    int64_t rows, features;
    uint32_t height, width, inner;  // `inner`: numbers of a pixel side by side
    Types types;
};

// Both only queue kernels on a stream. What an index that is none asks for is nan.
cudaError_t cut_rows(const Cut& cut, cudaStream_t stream);

// The gradient of images. `from`: the gradients of results; `partner`: the inverse permutation.
cudaError_t cut_rows_backward(const Cut& cut, cudaStream_t stream);

}  // namespace lelkern::mixup::cuda
