// MixUp of rows on the CPU: each is read from memory once, and each mix written once.

#include "mixup/common/mix_rows.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "mixup/cpu/channel_pattern.h"
#include "mixup/cpu/cycles.h"
#include "mixup/cpu/mixing_kernels.h"
#include "shared/cpu/large_results.h"

namespace lelkern::mixup {
namespace {

// Features of a row at a time: as many as still are in the cache when a partner becomes the next
// row. Shorter ones have the processor fetch ahead in vain (1024: a quarter slower).
constexpr int64_t kChunk = 4096;
constexpr int64_t kGrain = 32768;  // features that are worth waking a thread

class Rows {
  public:
    explicit Rows(const RowMix& mix)
        : first_count_(mix.first.count),
          bytes_(static_cast<int64_t>(mix.first.values.element_size())),
          first_(start_of(mix.first)),
          second_(mix.second ? start_of(*mix.second) : nullptr),
          first_stride_(mix.first.stride * bytes_),
          second_stride_(mix.second ? mix.second->stride * bytes_ : 0) {}

    // Row i, from a feature on.
    const char* at(int64_t i, int64_t feature) const {
        const char* const row = i < first_count_ ? first_ + i * first_stride_
                                                 : second_ + (i - first_count_) * second_stride_;
        return row + feature * bytes_;
    }

  private:
    static const char* start_of(const ImageRows& rows) {
        return static_cast<const char*>(rows.values.const_data_ptr());
    }

    int64_t first_count_, bytes_;
    const char *first_, *second_;
    int64_t first_stride_, second_stride_;
};

// lam and 1 - lam, rounded as what is computed in.
class Weights {
  public:
    explicit Weights(const RowMix& mix)
        : lam_(mix.lam.const_data_ptr()), in_double_(mix.computed == ScalarType::Double) {}

    double own(int64_t i) const {
        return in_double_ ? static_cast<const double*>(lam_)[i]
                          : static_cast<const float*>(lam_)[i];
    }
    double rest(int64_t i) const {
        return in_double_ ? 1 - own(i) : 1 - static_cast<const float*>(lam_)[i];
    }

  private:
    const void* lam_;
    bool in_double_;
};

// Calls f(row, the row after it, begin, count, values) for all features of all rows in an order,
// some of them at a time.
template <typename F>
void for_each_chunk(const RowMix& mix, const std::vector<int64_t>& order, const F& f) {
    const int64_t rows = mix.rows(), features = mix.first.features;
    const int64_t chunk = std::min(kChunk, features);
    const int64_t chunks = (features + kChunk - 1) / kChunk;
    const int64_t grain = std::max<int64_t>(1, kGrain / chunk);
    torch::stable::parallel_for(0, chunks * rows, grain, [&](int64_t begin, int64_t end) {
        with_arithmetic(mix.computed, [&](auto* type) {
            using T = std::remove_pointer_t<decltype(type)>;
            ChannelPattern<T> pattern(mix.channels, chunk);
            while (begin < end) {
                const int64_t start = begin / rows * kChunk;
                const int64_t count = std::min(kChunk, features - start);
                const FeatureValues values = pattern.fill(start, count);
                const int64_t first = begin % rows, last = std::min(rows, first + end - begin);
                for (int64_t k = first; k < last; ++k) {
                    f(order[k], order[std::min(k + 1, last - 1)], start, count, values);
                }
                begin += last - first;
            }
        });
        finish_past_cache();
    });
}

}  // namespace

void mix_rows(const RowMix& mix, Tensor& mixed) {
    const std::vector<int64_t> perm = numbers_of(mix.perm);
    const auto order = along_cycles("perm", perm.data(), mix.rows());
    const Rows rows(mix);
    const Weights weights(mix);
    const Places places(mix.order, mix.rows());
    const int64_t bytes = static_cast<int64_t>(mixed.element_size());
    auto* const results = static_cast<char*>(mixed.mutable_data_ptr());
    advise_huge_pages(results, mixed.numel() * bytes);
    const bool past_cache = goes_past_cache(mixed.numel() * bytes);
    const auto kernel = mixing_kernels(mix.first.dtype, mix.dtype).mix;
    for_each_chunk(
        mix, order,
        [&](int64_t i, int64_t next, int64_t start, int64_t count, const FeatureValues& values) {
            kernel(rows.at(i, start), rows.at(perm[i], start),
                   results + (places[i] * mix.first.features + start) * bytes, count,
                   weights.own(i), weights.rest(i), values,
                   {rows.at(perm[next], start), past_cache});
        });
}

void mix_rows_backward(const RowMix& mix, const Tensor& grad, Tensor& of_first, Tensor* of_second) {
    const int64_t bytes = static_cast<int64_t>(grad.element_size());
    const int64_t row_bytes = mix.first.features * bytes;
    const std::vector<int64_t> other = inverse_of("perm", numbers_of(mix.perm).data(), mix.rows());
    const auto order = along_cycles("perm", other.data(), mix.rows());
    const Weights weights(mix);
    const Places places(mix.order, mix.rows());
    const char* const grads = static_cast<const char*>(grad.const_data_ptr());
    char* const to_first = static_cast<char*>(of_first.mutable_data_ptr());
    char* const to_second =
        of_second == nullptr ? nullptr : static_cast<char*>(of_second->mutable_data_ptr());
    const bool past_cache = goes_past_cache(mix.rows() * row_bytes);
    const auto kernel = mixing_kernels(mix.dtype, mix.dtype).mix_back;
    // Row j is the partner of row other[j].
    for_each_chunk(
        mix, order,
        [&](int64_t j, int64_t next, int64_t start, int64_t count, const FeatureValues& values) {
            const auto of_mix = [&](int64_t i) {
                return grads + places[i] * row_bytes + start * bytes;
            };
            const bool in_first = j < mix.first.count;
            char* const to =
                in_first ? to_first + j * row_bytes : to_second + (j - mix.first.count) * row_bytes;
            kernel(of_mix(j), of_mix(other[j]), to + start * bytes, count, weights.own(j),
                   weights.rest(other[j]), values, {of_mix(other[next]), past_cache});
        });
}

void lam_backward(const RowMix& mix, const Tensor& grad, Tensor& of_lam) {
    const std::vector<int64_t> perm = numbers_of(mix.perm);
    const auto order = along_cycles("perm", perm.data(), mix.rows());
    const Rows rows(mix);
    const Places places(mix.order, mix.rows());
    const int64_t of_grad = static_cast<int64_t>(grad.element_size());
    const char* const grads = static_cast<const char*>(grad.const_data_ptr());
    const int64_t features = mix.first.features, chunks = (features + kChunk - 1) / kChunk;
    std::vector<double> sums(chunks * mix.rows());
    const auto kernel = mixing_kernels(mix.first.dtype, mix.dtype).dot;
    for_each_chunk(
        mix, order,
        [&](int64_t i, int64_t, int64_t start, int64_t count, const FeatureValues& values) {
            sums[start / kChunk * mix.rows() + i] =
                kernel(grads + (places[i] * features + start) * of_grad, rows.at(i, start),
                       rows.at(perm[i], start), count, values);
        });
    with_arithmetic(mix.computed, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        T* const to = static_cast<T*>(of_lam.mutable_data_ptr());
        for (int64_t i = 0; i < mix.rows(); ++i) {
            double sum = 0;  // in the order of the chunks, whoever added up each
            for (int64_t c = 0; c < chunks; ++c) sum += sums[c * mix.rows() + i];
            to[i] = static_cast<T>(sum);
        }
    });
}

}  // namespace lelkern::mixup

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("mix_rows", &lelkern::mixup::boxed_mix_rows);
    m.impl("mix_rows_backward", &lelkern::mixup::boxed_mix_rows_backward);
}
