// Which kernel a launch over distributions takes.
#pragma once

#include <cstdint>
#include <type_traits>

#include "mixup/cuda/row_group.cuh"
#include "shared/cuda/element.h"

namespace lelkern::mixup::cuda {

// More are worth a block of threads.
constexpr int64_t kClassesOfAWarp = 512;

template <int count>
using threads = std::integral_constant<int, count>;

// Calls f with a number of the type that is computed in.
template <typename F>
cudaError_t with_computed(Element element, const F& f) {
    return element == Element::float64 ? f(0.0) : f(0.0f);
}

// Blocks whose groups of threads are enough for so many distributions.
template <int threads>
dim3 blocks(int64_t count) {
    constexpr int per_block = RowGroup<threads>::per_block;
    return dim3(static_cast<unsigned>((count + per_block - 1) / per_block));
}

}  // namespace lelkern::mixup::cuda
