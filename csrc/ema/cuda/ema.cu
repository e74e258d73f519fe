// The update of averages: what a launch holds, and nothing of PyTorch.

#include "ema/cuda/ema.cuh"

namespace lelkern::ema::cuda {
namespace {

int bytes_of(Element element) {
    return element == Element::float64 ? 8 : element == Element::float32 ? 4 : 2;
}

// Numbers of a pair before the first that both have on the boundary of a vector, or kNoVectors.
int head_of(const EmaPair& pair, bool stochastic) {
    if (pair.dimension_count > 0) return kNoVectors;
    const int ema_bytes = bytes_of(pair.ema_element), param_bytes = bytes_of(pair.param_element);
    const int width = ema_width(ema_bytes, param_bytes);
    const auto ema = reinterpret_cast<uintptr_t>(pair.ema);
    const auto param = reinterpret_cast<uintptr_t>(pair.param);
    // The noise of a vector is that of one block of Philox.
    const int heads = stochastic && ema_bytes == 2 ? 1 : width;
    for (int head = 0; head < heads; ++head) {
        if ((ema + head * ema_bytes) % (width * ema_bytes) == 0 &&
            (param + head * param_bytes) % (width * param_bytes) == 0) {
            return head;
        }
    }
    return kNoVectors;
}

template <bool stochastic, int word_count>
cudaError_t launch_all(const EmaUpdate& update, cudaStream_t stream) {
    const EmaDecay decay{update.decay, update.decay_tensor, update.decay_element};
    EmaTableBuilder<word_count> builder;
    const auto launch = [&] {
        if (builder.chunks() == 0) return cudaSuccess;
        const cudaError_t error =
            LELKERN_LAUNCH((ema_update<stochastic, word_count>), dim3(builder.chunks()),
                           dim3(kEmaThreads), 0, stream, builder.table(), decay, update.seed);
        builder.clear();
        return error;
    };
    for (int64_t i = 0; i < update.count; ++i) {
        const EmaPair& pair = update.pairs[i];
        if (pair.count == 0) continue;
        const int head = head_of(pair, stochastic);
        if (builder.add(pair, i, head)) continue;
        if (const cudaError_t error = launch(); error != cudaSuccess) return error;
        builder.add(pair, i, head);
    }
    return launch();
}

template <bool stochastic>
cudaError_t launch_in_few(const EmaUpdate& update, cudaStream_t stream) {
    int64_t words = 0;
    for (int64_t i = 0; i < update.count; ++i) {
        words += EmaTableBuilder<kSmallEmaWords>::words_of(update.pairs[i]);
    }
    if (update.large_parameters && words > kSmallEmaWords) {
        return launch_all<stochastic, kLargeEmaWords>(update, stream);
    }
    return launch_all<stochastic, kSmallEmaWords>(update, stream);
}

}  // namespace

cudaError_t update_averages(const EmaUpdate& update, cudaStream_t stream) {
    return update.seed == nullptr ? launch_in_few<false>(update, stream)
                                  : launch_in_few<true>(update, stream);
}

}  // namespace lelkern::ema::cuda
