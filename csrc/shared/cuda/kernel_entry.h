// Tensors that a kernel goes through side by side, for any host compiler.
#pragma once

#include <cstdint>

#include "shared/common/list_dimension.h"
#include "shared/cuda/element.h"

namespace lelkern {

// Tensor i of each of several lists, `count` numbers each.
template <int lists>
struct KernelEntry {
    void* data[lists];
    Element elements[lists];
    int64_t count;
    // Where the numbers lie: none for those that lie without gaps, all in the same order; otherwise
    // as the dimensions say, the innermost first.
    const ListDimension<lists>* dimensions;
    int dimension_count;
};

}  // namespace lelkern
