// What kernels that mix images take, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "shared/cuda/element.h"

namespace lelkern::mixup::cuda {

// From whole numbers of 8 bits to an element, or from an element to itself.
struct Types {
    bool from_bytes;
    Element to;

    int from_size() const { return from_bytes ? 1 : bytes_of(to); }
};

// Rows of numbers that lie side by side: those of `first`, and then those of `second`; strides in
// numbers.
struct RowPointers {
    void *first, *second;
    int64_t first_count, first_stride, second_stride;
};

// One number a channel, of the type that is computed in, or null: that of feature d is d / inner,
// modulo the number of channels.
struct ChannelPointers {
    const void *scale, *offset;
    uint32_t scales, offsets, inner;
};

// inverse[perm[i]] = i; what is not met stays as it is.
cudaError_t invert(const int64_t* perm, int64_t count, int64_t* inverse, cudaStream_t stream);

}  // namespace lelkern::mixup::cuda
