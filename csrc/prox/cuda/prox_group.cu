// The prox of norms of groups: what is launched, and nothing of PyTorch.

#include "prox/cuda/prox_group.cuh"

#include "prox/cuda/norm_launch.cuh"

namespace lelkern::prox::cuda {
namespace {

template <typename Step>
cudaError_t shrink(const GroupTensor* tensors, int64_t count, double q, const Scale& scale,
                   const Step& step, bool large_parameters, cudaStream_t stream) {
    return with_norm(q, [&](auto norm) {
        // What models ask for has large tables; each kind takes a compiler as long as any other.
        return launch_group_tables<1, std::is_same_v<decltype(norm), NormTwo>>(
            tensors, count, large_parameters, [&](auto number, const auto& table, unsigned blocks) {
                constexpr int capacity = std::decay_t<decltype(table)>::capacity;
                return LELKERN_LAUNCH(
                    (shrink_groups_kernel<decltype(number), decltype(norm), Step, capacity>),
                    dim3(blocks), dim3(kThreads), 0, stream, table, scale, step, norm);
            });
    });
}

dim3 blocks_for(int64_t threads) {
    return dim3(static_cast<unsigned>((threads + kThreads - 1) / kThreads));
}

}  // namespace

cudaError_t shrink_groups(const GroupTensor* tensors, int64_t count, double q, const Scale& scale,
                          bool large_parameters, cudaStream_t stream) {
    return shrink(tensors, count, q, scale, NoStep{}, large_parameters, stream);
}

cudaError_t step_and_shrink_groups(const GroupTensor* tensors, int64_t count, double q,
                                   const Scale& scale, const SgdStep& step, bool large_parameters,
                                   cudaStream_t stream) {
    return shrink(tensors, count, q, scale, step, large_parameters, stream);
}

cudaError_t step_unlisted(const GroupTensor& tensor, const SgdStep& step, uint8_t* listed,
                          cudaStream_t stream) {
    if (tensor.numbers == 0) return cudaSuccess;
    if (tensor.groups.entries > 0) {
        const cudaError_t error = LELKERN_LAUNCH(mark_listed, blocks_for(tensor.groups.entries),
                                                 dim3(kThreads), 0, stream, tensor.groups.indices,
                                                 tensor.groups.entries, tensor.numbers, listed);
        if (error != cudaSuccess) return error;
    }
    const auto launch = [&](auto number) {
        return LELKERN_LAUNCH((step_unlisted_kernel<decltype(number)>), blocks_for(tensor.numbers),
                              dim3(kThreads), 0, stream, tensor, step, listed);
    };
    return tensor.element == Element::float64 ? launch(0.0) : launch(0.0f);
}

}  // namespace lelkern::prox::cuda
