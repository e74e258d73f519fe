// The update of averages: what is launched, and nothing of PyTorch.

#include "ema/cuda/ema.cuh"

namespace lelkern::ema::cuda {
namespace {

template <bool stochastic>
cudaError_t launch(const Update& update, cudaStream_t stream) {
    const Decay decay{update.decay, update.decay_tensor, update.decay_element};
    const auto head = [](const KernelEntry<kPair>& pair) {
        const int bytes = bytes_of(pair.elements[kAverage]);
        const int width = vector_width(bytes, bytes_of(pair.elements[kParam]));
        // The noise of a vector is that of one block of Philox.
        return head_of(pair, width, stochastic && bytes == 2 ? 1 : width);
    };
    return launch_tables(update.pairs, update.count, update.large_parameters, head,
                         [&](const auto& table, unsigned chunks) {
                             constexpr int words = std::decay_t<decltype(table)>::capacity;
                             return LELKERN_LAUNCH((ema_update<stochastic, words>), dim3(chunks),
                                                   dim3(kThreads), 0, stream, table, decay,
                                                   update.seed);
                         });
}

}  // namespace

cudaError_t update_averages(const Update& update, cudaStream_t stream) {
    return update.seed == nullptr ? launch<false>(update, stream) : launch<true>(update, stream);
}

}  // namespace lelkern::ema::cuda
