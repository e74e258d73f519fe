// Where the elements of tensors that belong together lie, for whatever has no tensors.
#pragma once

#include <cstdint>

namespace lelkern {

// A dimension of tensors of one shape, one of each of several lists.
template <int lists>
struct ListDimension {
    int64_t size;
    int64_t strides[lists];  // in elements
};

}  // namespace lelkern
