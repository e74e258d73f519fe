// What functions that Python calls ask of arrays: types and shapes.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "cuda_emulation_export.h"
#include "shared/cuda/element.h"

namespace lelkern::emulation {

inline void check(bool is_right, const std::string& what) {
    if (!is_right) throw std::invalid_argument(what);
}

inline Element element_of(const Array& array) {
    if (array.dtype == "float64") return Element::float64;
    if (array.dtype == "float32") return Element::float32;
    if (array.dtype == "float16") return Element::float16;
    check(array.dtype == "uint16", "an array of " + array.dtype + " instead of real numbers");
    return Element::bfloat16;
}

// Of an array that may be left out.
inline void check_shape(const char* name, const Array& array, const std::vector<int64_t>& shape) {
    check(array.data == nullptr || array.shape == shape, std::string(name) + " has another shape");
}

inline void check_dtype(const char* name, const Array& array, const std::string& dtype) {
    check(array.data == nullptr || array.dtype == dtype,
          std::string(name) + " has dtype " + array.dtype + " instead of " + dtype);
}

}  // namespace lelkern::emulation
