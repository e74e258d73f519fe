// A number whose type is known only when a kernel runs.
#pragma once

#include "shared/cuda/device.cuh"
#include "shared/cuda/element.h"

namespace lelkern {

__device__ inline double read_number(const void* from, Element element) {
    switch (element) {
        case Element::float64:
            return *static_cast<const double*>(from);
        case Element::float32:
            return *static_cast<const float*>(from);
        case Element::float16:
            return __half2float(*static_cast<const __half*>(from));
        default:
            return __bfloat162float(*static_cast<const __nv_bfloat16*>(from));
    }
}

}  // namespace lelkern
