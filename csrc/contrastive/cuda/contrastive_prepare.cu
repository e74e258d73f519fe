// The kernels that losses, and their gradients, begin with, for every type of rows.

#include "contrastive/cuda/contrastive_prepare.cuh"

#include "contrastive/cuda/contrastive_engine.cuh"

namespace lelkern::contrastive::cuda {

template <typename T, typename Word>
cudaError_t launch_prepare(dim3 grid, cudaStream_t stream, const Rows<T>& rows, int D, int padded,
                           int stride, bool normalize, Word* words, double* factors,
                           float* inverse_norm) {
    return LELKERN_LAUNCH((contrastive_prepare<T, Word>), grid, dim3(kPrepareThreads), 0, stream,
                          rows, D, padded, stride, normalize, words, factors, inverse_norm);
}

#define LELKERN_PREPARE(T, Word)                                                                 \
    template cudaError_t launch_prepare(dim3, cudaStream_t, const Rows<T>&, int, int, int, bool, \
                                        Word*, double*, float*)
LELKERN_PREPARE(double, double);
LELKERN_PREPARE(float, float);
LELKERN_PREPARE(float, TwoTerms);
LELKERN_PREPARE(float, __nv_bfloat16);
LELKERN_PREPARE(__half, float);
LELKERN_PREPARE(__half, __half);
LELKERN_PREPARE(__nv_bfloat16, float);
LELKERN_PREPARE(__nv_bfloat16, __nv_bfloat16);
#undef LELKERN_PREPARE

cudaError_t launch_count(dim3 grid, cudaStream_t stream, const int64_t* labels, int count,
                         int* counts) {
    return LELKERN_LAUNCH(contrastive_count, grid, dim3(kLabelThreads), 0, stream, labels, count,
                          counts);
}

cudaError_t launch_scale(cudaStream_t stream, const float* grad, int64_t grad_stride,
                         const double* log_sum_exp, const double* factors, int count,
                         float* scale) {
    return LELKERN_LAUNCH(contrastive_scale, dim3(1), dim3(kScaleThreads), 0, stream, grad,
                          grad_stride, log_sum_exp, factors, count, scale);
}

}  // namespace lelkern::contrastive::cuda
