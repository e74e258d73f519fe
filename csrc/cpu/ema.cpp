// Moving averages of many tensors on the CPU: one parallel region over the elements of all of them.

#include "cpu/ema.h"

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "common/ema_lists.h"
#include "common/rows.h"
#include "cpu/ema_update.h"

namespace lelkern::ema {
namespace {

constexpr int64_t kGrain = 32768;  // elements that are worth waking a thread
constexpr int64_t kPiece = 512;    // elements that are gathered, or get their noise, at a time

constexpr int64_t kPieceBlocks = kPiece / kBlock + kBlocksAtOnce;

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
        const Pair& pair = lists_.pairs[t];
        if (pair.dimensions == 0) return update_run(t, first, first, last - first);
        const Dimension* dimensions = &lists_.dimensions[pair.first_dimension];
        const Dimension& inner = dimensions[0];
        const bool runs = inner.ema_stride == 1 && inner.param_stride == 1 && inner.size >= 32;
        std::vector<int64_t> ema_places, param_places;
        while (first < last) {
            int64_t rest = first, ema = 0, param = 0;
            for (int64_t d = 0; d < pair.dimensions; ++d) {
                const int64_t i = rest % dimensions[d].size;
                rest /= dimensions[d].size;
                ema += i * dimensions[d].ema_stride;
                param += i * dimensions[d].param_stride;
            }
            const int64_t n = std::min(last - first, inner.size - first % inner.size);
            first += n;
            if (runs) {
                update_run(t, ema, param, n);
                continue;
            }
            for (int64_t i = 0; i < n; ++i) {
                ema_places.push_back(ema + i * inner.ema_stride);
                param_places.push_back(param + i * inner.param_stride);
                if (static_cast<int64_t>(ema_places.size()) == kPiece) {
                    update_places(t, ema_places, param_places);
                }
            }
        }
        update_places(t, ema_places, param_places);
    }

    // Updates n elements side by side, from these places on.
    void update_run(int64_t t, int64_t ema, int64_t param, int64_t n) const {
        const Pair& pair = lists_.pairs[t];
        const Update kernel = kernel_of(pair);
        char* average = static_cast<char*>(pair.ema) + ema * pair.ema_bytes;
        const char* parameter = static_cast<const char*>(pair.param) + param * pair.param_bytes;
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
            kernel(average + done * pair.ema_bytes, parameter + done * pair.param_bytes, some,
                   weights_, noise + before);
            done += some;
        }
    }

    // Updates elements in any places, and forgets the places.
    void update_places(int64_t t, std::vector<int64_t>& ema, std::vector<int64_t>& param) const {
        const Pair& pair = lists_.pairs[t];
        const int64_t n = static_cast<int64_t>(ema.size());
        alignas(64) char averages[kPiece * sizeof(double)], parameters[kPiece * sizeof(double)];
        uint16_t noise[kPiece];
        copy(pair.ema_bytes, n,
             [&](auto* type, int64_t i) { at(averages, type, i) = at(pair.ema, type, ema[i]); });
        copy(pair.param_bytes, n, [&](auto* type, int64_t i) {
            at(parameters, type, i) = at(const_cast<void*>(pair.param), type, param[i]);
        });
        if (has_noise(pair)) noise_of(t, ema, noise);
        kernel_of(pair)(averages, parameters, n, weights_, has_noise(pair) ? noise : nullptr);
        copy(pair.ema_bytes, n,
             [&](auto* type, int64_t i) { at(pair.ema, type, ema[i]) = at(averages, type, i); });
        ema.clear();
        param.clear();
    }

    void noise_of(int64_t t, const std::vector<int64_t>& places, uint16_t* noise) const {
        uint64_t blocks[kBlocksAtOnce] = {};
        uint16_t all[kBlocksAtOnce * kBlock];
        const int64_t n = static_cast<int64_t>(places.size());
        for (int64_t i = 0; i < n; i += kBlocksAtOnce) {
            const int64_t count = std::min<int64_t>(kBlocksAtOnce, n - i);
            for (int64_t k = 0; k < count; ++k) blocks[k] = places[i + k] / kBlock;
            kernels_.noise(*seed_, static_cast<uint32_t>(t), blocks, kBlocksAtOnce, all);
            for (int64_t k = 0; k < count; ++k) {
                noise[i + k] = all[k * kBlock + places[i + k] % kBlock];
            }
        }
    }

    template <typename Word>
    static Word& at(void* data, Word*, int64_t i) {
        return static_cast<Word*>(data)[i];
    }

    // Calls f(a null pointer to a word of so many bytes, i) for every i.
    template <typename F>
    static void copy(int64_t bytes, int64_t n, const F& f) {
        const auto all = [&](auto* type) {
            for (int64_t i = 0; i < n; ++i) f(type, i);
        };
        if (bytes == 2) {
            all(static_cast<uint16_t*>(nullptr));
        } else if (bytes == 4) {
            all(static_cast<uint32_t*>(nullptr));
        } else {
            all(static_cast<uint64_t*>(nullptr));
        }
    }

    bool has_noise(const Pair& pair) const { return seed_ && pair.ema_bytes == 2; }

    Update kernel_of(const Pair& pair) const {
        return kernels_.updates[number_of(pair.ema_dtype)][number_of(pair.param_dtype)];
    }

    const Pairs& lists_;
    const Kernels& kernels_ = kernels();
    const Weights weights_;
    const std::optional<uint64_t> seed_;
};

void ema_update(std::vector<Tensor> ema, std::vector<Tensor> params, double decay,
                std::optional<Tensor> decay_tensor, std::optional<Tensor> seed) {
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
    update(unpack(ema, params), decay, number);
}

}  // namespace

void update(const Pairs& lists, double decay, std::optional<uint64_t> seed) {
    Job(lists, decay, seed).run();
}

}  // namespace lelkern::ema

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("ema_update_", TORCH_BOX(&lelkern::ema::ema_update));
}
