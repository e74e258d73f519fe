// What all kernels that mix images need besides.

#include "mixup/cuda/mixing.cuh"

namespace lelkern::mixup::cuda {

__global__ void __launch_bounds__(kMixThreads)
    invert_rows(const int64_t* perm, int64_t count, int64_t* inverse) {
    const int64_t i = int64_t{blockIdx.x} * kMixThreads + threadIdx.x;
    if (i >= count) return;
    const int64_t to = perm[i];
    if (to >= 0 && to < count) inverse[to] = i;
}

cudaError_t invert(const int64_t* perm, int64_t count, int64_t* inverse, cudaStream_t stream) {
    if (count == 0) return cudaSuccess;
    return LELKERN_LAUNCH(invert_rows, grid_of((count + kMixThreads - 1) / kMixThreads, 1),
                          dim3(kMixThreads), 0, stream, perm, count, inverse);
}

}  // namespace lelkern::mixup::cuda
