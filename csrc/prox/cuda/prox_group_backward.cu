// The gradients of shrunk groups: what is launched, and nothing of PyTorch.

#include "prox/cuda/prox_group_backward.cuh"

#include "prox/cuda/norm_launch.cuh"

namespace lelkern::prox::cuda {

cudaError_t shrink_groups_backward(const GroupTensor& tensor, double q,
                                   const ThresholdGradient& of_lam1,
                                   const ThresholdGradient& of_lam, cudaStream_t stream) {
    const auto launch = [&](auto number) {
        using T = decltype(number);
        const GroupRow row = row_for<T, 2>(tensor, 0);
        return with_norm(q, [&](auto norm) {
            return LELKERN_LAUNCH((shrink_groups_backward_kernel<T, decltype(norm)>),
                                  dim3(static_cast<unsigned>(blocks_of(row))), dim3(kThreads), 0,
                                  stream, row, norm, of_lam1, of_lam);
        });
    };
    const int64_t count = tensor.groups.count;
    const bool in_double = tensor.element == Element::float64;
    if (count > 0) {
        const cudaError_t error = in_double ? launch(0.0) : launch(0.0f);
        if (error != cudaSuccess) return error;
    }
    for (const ThresholdGradient& of : {of_lam1, of_lam}) {
        const cudaError_t error = finish(of, count, tensor.element, stream);
        if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
}

}  // namespace lelkern::prox::cuda
