// MixUp of labels on the CPU: a row is made where it is mixed.

#include "mixup/common/mix_labels.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "mixup/cpu/channel_pattern.h"
#include "mixup/cpu/cycles.h"
#include "mixup/cpu/mixing_kernels.h"
#include "shared/cpu/large_results.h"

namespace lelkern::mixup {
namespace {

constexpr int64_t kGrain = 32768;  // numbers that are worth waking a thread

std::vector<int64_t> classes_of(const LabelMix& mix) {
    if (!mix.of_classes()) return {};
    std::vector<int64_t> classes = numbers_of(mix.labels);
    for (const int64_t c : classes) {
        STD_TORCH_CHECK(c >= 0 && c < mix.num_classes, "labels must be classes in [0, ",
                        mix.num_classes, "), got ", c);
    }
    return classes;
}

// Distributions, one after the other.
struct Distributions {
    explicit Distributions(const Tensor& rows)
        : numbers(static_cast<const char*>(rows.const_data_ptr())),
          bytes(static_cast<int64_t>(rows.element_size())),
          dtype(rows.scalar_type()) {}

    const char* numbers;
    int64_t bytes;  // of a number
    ScalarType dtype;
};

// Rows of labels, in the type of the results.
class LabelRows {
  public:
    explicit LabelRows(const LabelMix& mix)
        : classes_(classes_of(mix)),
          of_classes_(mix.of_classes()),
          labels_(mix.labels),
          guesses_(mix.guesses ? *mix.guesses : mix.labels),  // which is never asked for then
          labelled_(mix.labels.size(0)),
          unlabelled_(mix.unlabelled()),
          num_classes_(mix.num_classes),
          dtype_(mix.dtype) {
        dispatch_floating(dtype_, [&](auto* type) {
            const std::remove_pointer_t<decltype(type)> one = 1;
            bytes_ = sizeof one;
            std::memcpy(one_, &one, sizeof one);
        });
    }

    int64_t row_bytes() const { return num_classes_ * bytes_; }

    // Whether row i has a single 1, at class_at(i).
    bool is_class(int64_t i) const { return of_classes_ && i < labelled_; }
    int64_t class_at(int64_t i) const { return classes_[i]; }

    // Row i as it lies in memory, or made in `room`.
    const char* at(int64_t i, char* room) const {
        if (i >= labelled_) return numbers(guesses_, (i - labelled_) % unlabelled_, room);
        if (!is_class(i)) return numbers(labels_, i, room);
        std::memset(room, 0, row_bytes());
        std::memcpy(room + classes_[i] * bytes_, one_, bytes_);
        return room;
    }

  private:
    const char* numbers(const Distributions& rows, int64_t i, char* room) const {
        const char* const row = rows.numbers + i * num_classes_ * rows.bytes;
        if (rows.dtype == dtype_) return row;
        dispatch_floating(rows.dtype, [&](auto* from) {
            using From = std::remove_pointer_t<decltype(from)>;
            dispatch_floating(dtype_, [&](auto* to) {
                using To = std::remove_pointer_t<decltype(to)>;
                const From* const first = reinterpret_cast<const From*>(row);
                std::transform(first, first + num_classes_, reinterpret_cast<To*>(room),
                               [](From x) { return static_cast<To>(x); });
            });
        });
        return room;
    }

    std::vector<int64_t> classes_;
    bool of_classes_;
    Distributions labels_, guesses_;
    int64_t labelled_, unlabelled_, num_classes_, bytes_ = 0;
    ScalarType dtype_;
    char one_[sizeof(double)] = {};
};

// The mix of two rows that have a single 1 each, with the roundings of the kernel, and no row made.
template <typename T, typename Element>
void mix_classes(int64_t own, int64_t partner, T lam, int64_t num_classes, Element* to) {
    const T rest = 1 - lam, nothing = lam * 0 + rest * 0;  // nan if lam is no finite number
    std::fill_n(to, num_classes, static_cast<Element>(nothing));
    for (const int64_t c : {own, partner}) {
        to[c] = static_cast<Element>(lam * (c == own) + rest * (c == partner));
    }
}

}  // namespace

void mix_labels(const LabelMix& mix, Tensor& mixed) {
    const int64_t rows = mix.rows();
    const std::vector<int64_t> perm = numbers_of(mix.perm);
    const std::vector<int64_t> order = along_cycles("perm", perm.data(), rows);
    const Places places(mix.order, rows);
    const LabelRows labels(mix);
    const int64_t bytes = labels.row_bytes();
    auto* const results = static_cast<char*>(mixed.mutable_data_ptr());
    advise_huge_pages(results, rows * bytes);
    const bool past_cache = goes_past_cache(rows * bytes);
    const auto kernel = mixing_kernels(mix.dtype, mix.dtype).mix;
    const int64_t grain = std::max<int64_t>(1, kGrain / mix.num_classes);
    with_arithmetic(arithmetic_of(mix.dtype, mix.dtype), [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const T* const lam = static_cast<const T*>(mix.lam.const_data_ptr());
        torch::stable::parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) {
            std::vector<char> room(2 * bytes);
            const auto mix_row = [&](int64_t i, char* to) {
                const char* const own = labels.at(i, room.data());
                const char* const partner = labels.at(perm[i], room.data() + bytes);
                kernel(own, partner, to, mix.num_classes, lam[i], 1 - lam[i],
                       {nullptr, nullptr, false}, {partner, past_cache});
            };
            dispatch_floating(mix.dtype, [&](auto* element) {
                for (int64_t k = begin; k < end; ++k) {
                    const int64_t i = order[k];
                    char* const to = results + places[i] * bytes;
                    if (labels.is_class(i) && labels.is_class(perm[i])) {
                        mix_classes(labels.class_at(i), labels.class_at(perm[i]), lam[i],
                                    mix.num_classes, reinterpret_cast<decltype(element)>(to));
                    } else {
                        mix_row(i, to);
                    }
                }
            });
            finish_past_cache();
        });
    });
}

}  // namespace lelkern::mixup

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("mix_labels", &lelkern::mixup::boxed_mix_labels);
}
