// The prox of norms of groups in diagonal metrics: what is launched, and nothing of PyTorch.

#include "prox/cuda/prox_metric.cuh"

namespace lelkern::prox::cuda {

cudaError_t shrink_groups_in_metric(const GroupTensor* tensors, int64_t count,
                                    bool large_parameters, cudaStream_t stream) {
    return launch_group_tables<2, true>(
        tensors, count, large_parameters, [&](auto number, const auto& table, unsigned blocks) {
            constexpr int capacity = std::decay_t<decltype(table)>::capacity;
            return LELKERN_LAUNCH((shrink_groups_in_metric_kernel<decltype(number), capacity>),
                                  dim3(blocks), dim3(kThreads), 0, stream, table);
        });
}

}  // namespace lelkern::prox::cuda
