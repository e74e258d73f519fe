// The types of numbers that kernels take.
#pragma once

namespace lelkern {

enum class Element { float64, float32, float16, bfloat16 };

}  // namespace lelkern
