// Moving averages of many tensors on the CPU: one parallel region over the elements of all of them.

#include "ema/cpu/ema.h"

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <optional>
#include <type_traits>
#include <vector>

#include "ema/common/ema_lists.h"
#include "shared/cpu/floating_types.h"
#include "shared/cpu/read_scalar.h"

namespace lelkern::ema {
namespace {

constexpr int64_t kGrain = 32768;  // elements that are worth waking a thread
constexpr int64_t kPiece = 512;    // elements that are gathered, or get their noise, at a time

constexpr int64_t kPieceBlocks = kPiece / kBlock + kBlocksAtOnce;
constexpr int64_t kLongRun = 32;  // elements side by side that are not worth gathering

// Elements along the innermost dimension, and where the first of them lies.
struct Run {
    int64_t ema, param, n;
};

// Calls f(run) for runs that make up elements [first, last) in the order of the dimensions.
template <typename F>
void for_each_run(const Dimension* dimensions, int64_t count, int64_t first, int64_t last,
                  const F& f) {
    std::vector<int64_t> index(count);
    Run run{0, 0, 0};
    const auto move = [&](int64_t d, int64_t by) {
        index[d] += by;
        run.ema += by * dimensions[d].strides[kAverage];
        run.param += by * dimensions[d].strides[kParam];
    };
    for (int64_t d = 0, rest = first; d < count; ++d) {
        move(d, rest % dimensions[d].size);
        rest /= dimensions[d].size;
    }
    while (first < last) {
        run.n = std::min(last - first, dimensions[0].size - index[0]);
        f(run);
        first += run.n;
        move(0, run.n);
        for (int64_t d = 0; d + 1 < count && index[d] == dimensions[d].size; ++d) {
            move(d, -dimensions[d].size);
            move(d + 1, 1);
        }
    }
}

// Calls f with a null pointer to a word of so many bytes.
template <typename F>
void with_words(int64_t bytes, const F& f) {
    if (bytes == 2) {
        f(static_cast<uint16_t*>(nullptr));
    } else if (bytes == 4) {
        f(static_cast<uint32_t*>(nullptr));
    } else {
        f(static_cast<uint64_t*>(nullptr));
    }
}

class Job {
  public:
    Job(const Pairs& lists, double decay, std::optional<uint64_t> seed)
        : lists_(lists), weights_(decay), seed_(seed) {}

    void run() const {
        if (weights_.ema_is_heavy && weights_.weight == 0) return;
        const int64_t total = lists_.starts.back();
        torch::stable::parallel_for(0, total, kGrain, [&](int64_t begin, int64_t end) {
            // The pair with element `begin`; empty ones have the start of the next.
            auto at = std::upper_bound(lists_.starts.begin(), lists_.starts.end(), begin) - 1;
            for (; begin < end; ++at) {
                const int64_t until = std::min(end, at[1]);
                update(at - lists_.starts.begin(), begin - *at, until - *at);
                begin = until;
            }
        });
    }

  private:
    // Updates elements [first, last) of a pair, in the order of its dimensions.
    void update(int64_t t, int64_t first, int64_t last) const {
        const Pair& pair = lists_.entries[t];
        if (pair.dimensions == 0) return update_run(t, first, first, last - first);
        const Dimension* dimensions = &lists_.dimensions[pair.first_dimension];
        const Dimension& inner = dimensions[0];
        if (inner.strides[kAverage] == 1 && inner.strides[kParam] == 1 && inner.size >= kLongRun) {
            return for_each_run(dimensions, pair.dimensions, first, last,
                                [&](const Run& run) { update_run(t, run.ema, run.param, run.n); });
        }
        std::vector<Run> runs;
        int64_t gathered = 0;
        for_each_run(dimensions, pair.dimensions, first, last, [&](Run run) {
            while (run.n > 0) {
                const int64_t n = std::min(run.n, kPiece - gathered);
                runs.push_back({run.ema, run.param, n});
                run = {run.ema + n * inner.strides[kAverage], run.param + n * inner.strides[kParam],
                       run.n - n};
                gathered += n;
                if (gathered < kPiece) continue;
                update_runs(t, runs, gathered);
                runs.clear();
                gathered = 0;
            }
        });
        update_runs(t, runs, gathered);
    }

    // Updates n elements side by side, from these places on.
    void update_run(int64_t t, int64_t ema, int64_t param, int64_t n) const {
        const Pair& pair = lists_.entries[t];
        const Update kernel = kernel_of(pair);
        char* average =
            static_cast<char*>(pair.of[kAverage].data) + ema * pair.of[kAverage].element_bytes;
        const char* parameter =
            static_cast<const char*>(pair.of[kParam].data) + param * pair.of[kParam].element_bytes;
        if (!has_noise(pair)) return kernel(average, parameter, n, weights_, nullptr);
        uint64_t blocks[kPieceBlocks];
        uint16_t noise[kPieceBlocks * kBlock];
        for (int64_t done = 0; done < n;) {
            const int64_t before = (ema + done) % kBlock;
            const int64_t some = std::min(n - done, kPiece);
            const int64_t count = (before + some + kBlock - 1) / kBlock;
            const int64_t padded = (count + kBlocksAtOnce - 1) / kBlocksAtOnce * kBlocksAtOnce;
            for (int64_t i = 0; i < padded; ++i) blocks[i] = (ema + done) / kBlock + i;
            kernels_.noise(*seed_, static_cast<uint32_t>(t), blocks, padded, noise);
            kernel(average + done * pair.of[kAverage].element_bytes,
                   parameter + done * pair.of[kParam].element_bytes, some, weights_,
                   noise + before);
            done += some;
        }
    }

    // Updates the n elements of runs along the innermost dimension.
    void update_runs(int64_t t, const std::vector<Run>& runs, int64_t n) const {
        const Pair& pair = lists_.entries[t];
        const Dimension& inner = lists_.dimensions[pair.first_dimension];
        alignas(64) char averages[kPiece * sizeof(double)], parameters[kPiece * sizeof(double)];
        uint16_t noise[kPiece];
        with_words(pair.of[kParam].element_bytes, [&](auto* type) {
            using Word = std::remove_pointer_t<decltype(type)>;
            auto* to = reinterpret_cast<Word*>(parameters);
            for (const Run& run : runs) {
                const Word* from = static_cast<const Word*>(pair.of[kParam].data) + run.param;
                for (int64_t i = 0; i < run.n; ++i) *to++ = from[i * inner.strides[kParam]];
            }
        });
        with_words(pair.of[kAverage].element_bytes, [&](auto* type) {
            using Word = std::remove_pointer_t<decltype(type)>;
            auto* to = reinterpret_cast<Word*>(averages);
            for (const Run& run : runs) {
                const Word* from = static_cast<const Word*>(pair.of[kAverage].data) + run.ema;
                for (int64_t i = 0; i < run.n; ++i) *to++ = from[i * inner.strides[kAverage]];
            }
        });
        if (has_noise(pair)) noise_of(t, runs, noise);
        kernel_of(pair)(averages, parameters, n, weights_, has_noise(pair) ? noise : nullptr);
        with_words(pair.of[kAverage].element_bytes, [&](auto* type) {
            using Word = std::remove_pointer_t<decltype(type)>;
            const auto* from = reinterpret_cast<const Word*>(averages);
            for (const Run& run : runs) {
                Word* to = static_cast<Word*>(pair.of[kAverage].data) + run.ema;
                for (int64_t i = 0; i < run.n; ++i) to[i * inner.strides[kAverage]] = *from++;
            }
        });
    }

    void noise_of(int64_t t, const std::vector<Run>& runs, uint16_t* noise) const {
        const int64_t stride =
            lists_.dimensions[lists_.entries[t].first_dimension].strides[kAverage];
        int64_t places[kPiece], n = 0;
        for (const Run& run : runs) {
            for (int64_t i = 0; i < run.n; ++i) places[n++] = run.ema + i * stride;
        }
        uint64_t blocks[kBlocksAtOnce] = {};
        uint16_t all[kBlocksAtOnce * kBlock];
        for (int64_t i = 0; i < n; i += kBlocksAtOnce) {
            const int64_t count = std::min<int64_t>(kBlocksAtOnce, n - i);
            for (int64_t k = 0; k < count; ++k) blocks[k] = places[i + k] / kBlock;
            kernels_.noise(*seed_, static_cast<uint32_t>(t), blocks, kBlocksAtOnce, all);
            for (int64_t k = 0; k < count; ++k) {
                noise[i + k] = all[k * kBlock + places[i + k] % kBlock];
            }
        }
    }

    bool has_noise(const Pair& pair) const { return seed_ && pair.of[kAverage].element_bytes == 2; }

    Update kernel_of(const Pair& pair) const {
        return kernels_.updates[place_of(pair.of[kAverage].dtype)][place_of(pair.of[kParam].dtype)];
    }

    const Pairs& lists_;
    const Kernels& kernels_ = kernels();
    const Weights weights_;
    const std::optional<uint64_t> seed_;
};

void ema_update(const std::vector<Tensor>& ema, const std::vector<Tensor>& params, double decay,
                const std::optional<Tensor>& decay_tensor, const std::optional<Tensor>& seed) {
    if (decay_tensor) {
        STD_TORCH_CHECK(decay_tensor->dim() == 0 && decay_tensor->is_cpu(),
                        "decay must have no dimensions and be on the CPU");
        decay = read_scalar(*decay_tensor);
    }
    STD_TORCH_CHECK(
        !seed || (seed->dim() == 0 && seed->is_cpu() && seed->scalar_type() == ScalarType::Long),
        "seed must be an int64 without dimensions on the CPU");
    std::optional<uint64_t> number;
    if (seed) number = *static_cast<const uint64_t*>(seed->const_data_ptr());
    Job(unpack(ema, params), decay, number).run();
}

}  // namespace
}  // namespace lelkern::ema

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("ema_update_", TORCH_BOX(&lelkern::ema::ema_update));
}
