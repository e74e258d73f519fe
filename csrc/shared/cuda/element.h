// The types of numbers that kernels take.
#pragma once

namespace lelkern {

enum class Element { float64, float32, float16, bfloat16 };

constexpr int bytes_of(Element element) {
    return element == Element::float64 ? 8 : element == Element::float32 ? 4 : 2;
}

}  // namespace lelkern
