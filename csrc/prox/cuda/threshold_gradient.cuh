// Gradients of thresholds, as kernels store them.
#pragma once

#include "prox/cuda/threshold_gradient.h"
#include "shared/cuda/device.cuh"

namespace lelkern::prox::cuda {

template <typename T>
__device__ void store_gradient(const ThresholdGradient& of, int64_t group, T gradient) {
    if (of.to == nullptr) return;
    if (of.each != nullptr) {
        of.each[group] = gradient;
    } else {
        static_cast<T*>(of.to)[group] = gradient;
    }
}

}  // namespace lelkern::prox::cuda
