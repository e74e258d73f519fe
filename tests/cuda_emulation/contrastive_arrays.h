// From arrays of Python to what the contrastive kernels take.
#pragma once

#include "contrastive/cuda/contrastive.h"
#include "cuda_emulation_arrays.h"

namespace lelkern::emulation {

inline const int64_t* integers(const char* name, const Array& array, int64_t count) {
    check_dtype(name, array, "int64");
    check_shape(name, array, {count});
    return static_cast<const int64_t*>(array.data);
}

// Rows of as many numbers of the same type as those of `like`.
inline contrastive::cuda::Matrix matrix_of(const char* name, const Array& array,
                                           const Array& like) {
    if (array.data == nullptr) return {};
    check_dtype(name, array, like.dtype);
    check_shape(name, array, {array.shape.at(0), like.shape[1]});
    const bool is_empty = array.shape[0] == 0 || array.shape[1] == 0;
    check(is_empty || array.shape[1] == 1 || array.strides[1] == 1,
          std::string(name) + " has gaps in a row");
    return {array.data, array.shape[0], array.strides[0]};
}

}  // namespace lelkern::emulation
