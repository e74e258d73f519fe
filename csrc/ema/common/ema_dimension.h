// Where the elements of an average and its parameter lie, for whatever has no tensors.
#pragma once

#include <cstdint>

namespace lelkern::ema {

// Strides are in elements.
struct Dimension {
    int64_t size, ema_stride, param_stride;
};

}  // namespace lelkern::ema
