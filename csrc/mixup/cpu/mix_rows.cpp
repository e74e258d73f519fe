// MixUp of rows on the CPU: each is read from memory once, and each mix written once.

#include "mixup/common/mix_rows.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "mixup/cpu/channel_pattern.h"
#include "mixup/cpu/cycles.h"
#include "mixup/cpu/huge_pages.h"
#include "mixup/cpu/mixing_kernels.h"

namespace lelkern::mixup {
namespace {

// Features of a row at a time: as many as still are in the cache when a partner becomes the next
// row. Shorter ones have the processor fetch ahead in vain (1024: a quarter slower).
constexpr int64_t kChunk = 4096;
constexpr int64_t kGrain = 32768;  // features that are worth waking a thread

// Which rows a row is mixed with, and where to.
struct Step {
    int64_t row;
    const char *own, *partner;
    char* to;
    double own_weight, partner_weight;
};

class Rows {
  public:
    explicit Rows(const RowMix& mix)
        : first_(mix.first), second_(mix.second ? *mix.second : mix.first) {
        bytes_ = static_cast<int64_t>(mix.first.values.element_size());
    }

    const char* operator[](int64_t i) const {
        const bool in_first = i < first_.count;
        const ImageRows& rows = in_first ? first_ : second_;
        const int64_t at = (in_first ? i : i - first_.count) * rows.stride;
        return static_cast<const char*>(rows.values.const_data_ptr()) + at * bytes_;
    }

  private:
    const ImageRows &first_, &second_;
    int64_t bytes_;
};

std::vector<int64_t> numbers(const Tensor& vector) {
    const auto* const first = static_cast<const int64_t*>(vector.const_data_ptr());
    return {first, first + vector.numel()};
}

// lam and 1 - lam, rounded as what is computed in.
struct Weights {
    explicit Weights(const RowMix& mix) : own(mix.rows()), rest(mix.rows()) {
        with_arithmetic(mix.computed, [&](auto* type) {
            using T = std::remove_pointer_t<decltype(type)>;
            const T* const lam = static_cast<const T*>(mix.lam.const_data_ptr());
            for (int64_t i = 0; i < mix.rows(); ++i) {
                own[i] = lam[i];
                rest[i] = T(1) - lam[i];
            }
        });
    }

    std::vector<double> own, rest;
};

// Calls f(step, begin, count, values) for all features of all steps, some of them at a time.
template <typename F>
void for_each_chunk(const RowMix& mix, const std::vector<Step>& steps, const F& f) {
    const int64_t rows = static_cast<int64_t>(steps.size()), features = mix.first.features;
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
                for (int64_t k = first; k < last; ++k) f(steps[k], start, count, values);
                begin += last - first;
            }
        });
    });
}

// Where the mix of each row is, among the rows of a tensor (R, D) of these many bytes.
std::vector<int64_t> places_of_mixes(const RowMix& mix, int64_t row_bytes) {
    std::vector<int64_t> places(mix.rows());
    if (mix.order) {
        places = inverse_of("order", numbers(*mix.order).data(), mix.rows());
        for (int64_t& place : places) place *= row_bytes;
    } else {
        for (int64_t i = 0; i < mix.rows(); ++i) places[i] = i * row_bytes;
    }
    return places;
}

// Each row beside its partner, in an order in which that is the next.
std::vector<Step> steps_of_mixes(const RowMix& mix, char* mixed, int64_t row_bytes) {
    const std::vector<int64_t> perm = numbers(mix.perm);
    inverse_of("perm", perm.data(), mix.rows());  // which raises
    const std::vector<int64_t> places = places_of_mixes(mix, row_bytes);
    const Weights weights(mix);
    const Rows rows(mix);
    std::vector<Step> steps;
    steps.reserve(mix.rows());
    for (const int64_t i : along_cycles(perm)) {
        steps.push_back(
            {i, rows[i], rows[perm[i]], mixed + places[i], weights.own[i], weights.rest[i]});
    }
    return steps;
}

}  // namespace

void mix_rows(const RowMix& mix, Tensor& mixed) {
    const int64_t from = static_cast<int64_t>(mix.first.values.element_size());
    const int64_t to = static_cast<int64_t>(mixed.element_size());
    auto* const results = static_cast<char*>(mixed.mutable_data_ptr());
    advise_huge_pages(results, mixed.numel() * to);
    const auto steps = steps_of_mixes(mix, results, mix.first.features * to);
    const auto kernel = mixing_kernels(mix.first.dtype, mix.dtype).mix;
    for_each_chunk(
        mix, steps,
        [&](const Step& step, int64_t start, int64_t count, const FeatureValues& values) {
            kernel(step.own + start * from, step.partner + start * from, step.to + start * to,
                   count, step.own_weight, step.partner_weight, values);
        });
}

void mix_rows_backward(const RowMix& mix, const Tensor& grad, Tensor& of_first, Tensor* of_second) {
    const int64_t bytes = static_cast<int64_t>(grad.element_size());
    const int64_t row_bytes = mix.first.features * bytes;
    const std::vector<int64_t> other = inverse_of("perm", numbers(mix.perm).data(), mix.rows());
    const std::vector<int64_t> places = places_of_mixes(mix, row_bytes);
    const Weights weights(mix);
    const char* const from = static_cast<const char*>(grad.const_data_ptr());
    char* const to_first = static_cast<char*>(of_first.mutable_data_ptr());
    char* const to_second =
        of_second == nullptr ? nullptr : static_cast<char*>(of_second->mutable_data_ptr());
    std::vector<Step> steps;
    steps.reserve(mix.rows());
    for (const int64_t j : along_cycles(other)) {  // row j is the partner of row other[j]
        const bool in_first = j < mix.first.count;
        char* const to =
            in_first ? to_first + j * row_bytes : to_second + (j - mix.first.count) * row_bytes;
        steps.push_back({j, from + places[j], from + places[other[j]], to, weights.own[j],
                         weights.rest[other[j]]});
    }
    const auto kernel = mixing_kernels(mix.dtype, mix.dtype).mix_back;
    for_each_chunk(
        mix, steps,
        [&](const Step& step, int64_t start, int64_t count, const FeatureValues& values) {
            const int64_t at = start * bytes;
            kernel(step.own + at, step.partner + at, step.to + at, count, step.own_weight,
                   step.partner_weight, values);
        });
}

void lam_backward(const RowMix& mix, const Tensor& grad, Tensor& of_lam) {
    const int64_t from = static_cast<int64_t>(mix.first.values.element_size());
    const int64_t of_grad = static_cast<int64_t>(grad.element_size());
    const std::vector<int64_t> places = places_of_mixes(mix, mix.first.features * of_grad);
    const char* const grads = static_cast<const char*>(grad.const_data_ptr());
    const auto steps = steps_of_mixes(mix, nullptr, 0);
    const int64_t rows = mix.rows();
    const int64_t chunks = (mix.first.features + kChunk - 1) / kChunk;
    std::vector<double> sums(chunks * rows);
    const auto kernel = mixing_kernels(mix.first.dtype, mix.dtype).dot;
    for_each_chunk(
        mix, steps,
        [&](const Step& step, int64_t start, int64_t count, const FeatureValues& values) {
            sums[start / kChunk * rows + step.row] =
                kernel(grads + places[step.row] + start * of_grad, step.own + start * from,
                       step.partner + start * from, count, values);
        });
    with_arithmetic(mix.computed, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        T* const to = static_cast<T*>(of_lam.mutable_data_ptr());
        for (int64_t i = 0; i < rows; ++i) {
            double sum = 0;  // in the order of the chunks, whoever added up each
            for (int64_t c = 0; c < chunks; ++c) sum += sums[c * rows + i];
            to[i] = static_cast<T>(sum);
        }
    });
}

}  // namespace lelkern::mixup

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("mix_rows", &lelkern::mixup::boxed_mix_rows);
    m.impl("mix_rows_backward", &lelkern::mixup::boxed_mix_rows_backward);
}
