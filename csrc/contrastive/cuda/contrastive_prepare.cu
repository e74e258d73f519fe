// The kernels that losses, and their gradients, begin with, for every type of rows.

#include "contrastive/cuda/contrastive_prepare.cuh"

#include "contrastive/cuda/contrastive_engine.cuh"

namespace lelkern::contrastive::cuda {

template <typename T, typename Word>
cudaError_t launch_prepare(dim3 grid, cudaStream_t stream, const Packings<T, Word>& sides, int D,
                           int stride, bool normalize, unsigned long long* cleared) {
    return LELKERN_LAUNCH((contrastive_prepare<T, Word>), grid, dim3(kPrepareThreads), 0, stream,
                          sides, D, stride, normalize, cleared);
}

#define LELKERN_PREPARE(T, Word)                                                                \
    template cudaError_t launch_prepare(dim3, cudaStream_t, const Packings<T, Word>&, int, int, \
                                        bool, unsigned long long*)
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

}  // namespace lelkern::contrastive::cuda
