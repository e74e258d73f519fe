// Projection onto the l1-infinity ball on a GPU, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "prox/common/groups.h"
#include "prox/cuda/threshold_gradient.h"
#include "shared/cuda/element.h"

namespace lelkern::prox::cuda {

// Problems x (count, groups, size), contiguous, at least one number.
struct BallProjection {
    const void* x;
    Element element;
    int64_t count, groups, size;
    Thresholds radius;  // one, or one for each problem; not for backward
    // What groups are cut at, infinity where nothing is cut: (count, groups), of the type that is
    // computed in.
    void* levels;
};

// Both only queue kernels on a stream.
cudaError_t project_balls(const BallProjection& projection, void* to, cudaStream_t stream);

// `grad`, that of the result, and `to` are like x.
cudaError_t project_balls_backward(const BallProjection& projection, const void* grad, void* to,
                                   const ThresholdGradient& of_radius, cudaStream_t stream);

}  // namespace lelkern::prox::cuda
