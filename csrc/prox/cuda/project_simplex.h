// Projection of rows onto the simplex or the l1 ball on a GPU, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "prox/common/groups.h"
#include "prox/cuda/threshold_gradient.h"
#include "shared/cuda/element.h"

namespace lelkern::prox::cuda {

// Rows (count, size), contiguous, at least one number.
struct Projection {
    const void* rows;  // x, and in backward what it became
    Element element;
    int64_t count, size;
    bool l1;
    Thresholds radius;  // one, or one for each row; not for backward
    void* theta;        // (count,), of the type that is computed in
};

// Both only queue kernels on a stream.
cudaError_t project_rows(const Projection& projection, void* to, cudaStream_t stream);

// `grad`, that of the result, and `to` are like the rows.
cudaError_t project_rows_backward(const Projection& projection, const void* grad, void* to,
                                  const ThresholdGradient& of_radius, cudaStream_t stream);

}  // namespace lelkern::prox::cuda
