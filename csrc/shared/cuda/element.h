// The types of numbers that kernels take.
#pragma once

#include "shared/common/host_device.h"

namespace lelkern {

enum class Element { float64, float32, float16, bfloat16 };

LELKERN_HOST_DEVICE constexpr int bytes_of(Element element) {
    return element == Element::float64 ? 8 : element == Element::float32 ? 4 : 2;
}

}  // namespace lelkern
