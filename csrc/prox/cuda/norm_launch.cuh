// Which norm a launch is for.
#pragma once

#include "prox/cuda/norm_infinity.cuh"
#include "prox/cuda/norm_q.cuh"
#include "prox/cuda/norm_two.cuh"

namespace lelkern::prox::cuda {

template <typename F>
cudaError_t with_norm(double q, const F& f) {
    if (q == 2) return f(NormTwo{});
    if (q == Numbers<double>::infinity) return f(NormInfinity{});
    return f(NormQ{q});
}

}  // namespace lelkern::prox::cuda
