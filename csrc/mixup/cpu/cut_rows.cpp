// CutMix of images as rows on the CPU: pieces of rows, copied or converted.

#include "mixup/common/cut_rows.h"

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

constexpr int64_t kGrain = 32768;   // features that are worth waking a thread
constexpr int64_t kPattern = 2048;  // features at a time, where channels take turns

// Raises unless the box is within its image.
Box box_of(const RowCut& cut, int64_t i) {
    const auto* const b = static_cast<const int64_t*>(cut.boxes.const_data_ptr()) + 4 * i;
    const Box box{b[0], b[1], b[2], b[3]};
    STD_TORCH_CHECK(is_within(box, cut.shape.height, cut.shape.width),
                    "boxes must be top, left, height, width within ", cut.shape.height, " x ",
                    cut.shape.width, ", got ", b[0], ", ", b[1], ", ", b[2], ", ", b[3]);
    return box;
}

// The numbers of channels for pieces of rows.
template <typename T>
class PieceValues {
  public:
    explicit PieceValues(const RowCut& cut)
        : channels_(cut.channels),
          turns_(cut.channels.inner == 1),
          given_(cut.channels.scale || cut.channels.offset),
          pattern_(cut.channels, turns_ ? period(cut) + kPattern : 0) {
        if (turns_) all_ = pattern_.fill(0, period(cut) + kPattern);
        period_ = period(cut);
    }

    // Calls f(begin, count, values) for parts of a piece, which is of one channel unless they take
    // turns.
    template <typename F>
    void for_each_part(int64_t begin, int64_t end, const F& f) const {
        if (!given_) return f(begin, end - begin, FeatureValues{nullptr, nullptr, true});
        if (!turns_) {
            const int64_t channel = begin / channels_.inner;
            return f(
                begin, end - begin,
                FeatureValues{at(channels_.scale, channel), at(channels_.offset, channel), true});
        }
        for (; begin < end; begin += kPattern) {
            const int64_t first = begin % period_;
            const auto from = [&](const void* values) -> const void* {
                return values == nullptr ? nullptr : static_cast<const T*>(values) + first;
            };
            f(begin, std::min(kPattern, end - begin),
              FeatureValues{from(all_.scale), from(all_.offset), false});
        }
    }

  private:
    // After so many features scale and offset repeat.
    static int64_t period(const RowCut& cut) {
        const auto channels = [](const std::optional<Tensor>& values) {
            return values ? values->size(0) : int64_t{1};
        };
        return std::max(channels(cut.channels.scale), channels(cut.channels.offset));
    }

    static const void* at(const std::optional<Tensor>& values, int64_t channel) {
        if (!values) return nullptr;
        return static_cast<const T*>(values->const_data_ptr()) + channel % values->size(0);
    }

    const ChannelValues& channels_;
    bool turns_, given_;
    ChannelPattern<T> pattern_;
    FeatureValues all_{};
    int64_t period_;
};

// Calls f(row, values) for all rows, in an order in which the partner of each is the next.
template <typename F>
void for_each_row(const RowCut& cut, const int64_t* partner, const F& f) {
    const std::vector<int64_t> order = along_cycles("perm", partner, cut.x.count);
    const int64_t grain = std::max<int64_t>(1, kGrain / cut.x.features);
    torch::stable::parallel_for(0, cut.x.count, grain, [&](int64_t begin, int64_t end) {
        with_arithmetic(cut.computed, [&](auto* type) {
            const PieceValues<std::remove_pointer_t<decltype(type)>> values(cut);
            for (int64_t k = begin; k < end; ++k) f(order[k], values);
        });
    });
}

std::vector<Box> boxes_of(const RowCut& cut) {
    std::vector<Box> boxes;
    boxes.reserve(cut.x.count);
    for (int64_t i = 0; i < cut.x.count; ++i) boxes.push_back(box_of(cut, i));
    return boxes;
}

// Calls f(begin, end) for the parts of one plane of a row that are inside of a box.
template <typename F>
void for_each_part_inside(const ImageShape& image, const Box& box, int64_t plane, const F& f) {
    const bool whole_lines = box.width == image.width;
    const int64_t lines = whole_lines ? 1 : box.height;
    const int64_t pixels = whole_lines ? box.height * box.width : box.width;
    for (int64_t line = box.top; line < box.top + lines; ++line) {
        const int64_t pixel = (plane * image.height + line) * image.width + box.left;
        f(pixel * image.inner, (pixel + pixels) * image.inner);
    }
}

}  // namespace

void cut_rows(const RowCut& cut, Tensor& result) {
    const int64_t from = static_cast<int64_t>(cut.x.values.element_size());
    const int64_t to = static_cast<int64_t>(result.element_size());
    const std::vector<int64_t> perm = numbers_of(cut.perm);
    const std::vector<Box> boxes = boxes_of(cut);
    const bool copies = cut.x.dtype == cut.dtype && !cut.channels.scale && !cut.channels.offset;
    const auto kernel = mixing_kernels(cut.x.dtype, cut.dtype).rescale;
    const auto* const rows = static_cast<const char*>(cut.x.values.const_data_ptr());
    auto* const results = static_cast<char*>(result.mutable_data_ptr());
    advise_huge_pages(results, result.numel() * to);
    for_each_row(cut, perm.data(), [&](int64_t i, const auto& values) {
        char* const result_row = results + i * cut.x.features * to;
        const auto write = [&](const char* row, int64_t begin, int64_t end) {
            if (copies) {
                std::memcpy(result_row + begin * to, row + begin * to, (end - begin) * to);
                return;
            }
            values.for_each_part(begin, end,
                                 [&](int64_t at, int64_t count, const FeatureValues& of_part) {
                                     kernel(row + at * from, result_row + at * to, count, of_part);
                                 });
        };
        // All of a plane, whose box is then written once more: fewer and longer pieces.
        const char* const own = rows + i * cut.x.stride * from;
        const char* const partner = rows + perm[i] * cut.x.stride * from;
        const int64_t plane = cut.shape.height * cut.shape.width * cut.shape.inner;
        for (int64_t p = 0; p < cut.shape.planes; ++p) {
            write(own, p * plane, (p + 1) * plane);
            for_each_part_inside(cut.shape, boxes[i], p,
                                 [&](int64_t begin, int64_t end) { write(partner, begin, end); });
        }
    });
}

void cut_rows_backward(const RowCut& cut, const Tensor& grad, Tensor& of_x) {
    const int64_t bytes = static_cast<int64_t>(grad.element_size());
    const int64_t row_bytes = cut.x.features * bytes;
    const std::vector<int64_t> other = inverse_of("perm", numbers_of(cut.perm).data(), cut.x.count);
    const std::vector<Box> boxes = boxes_of(cut);
    const auto kernel = mixing_kernels(cut.dtype, cut.dtype).add_back;
    const auto* const grads = static_cast<const char*>(grad.const_data_ptr());
    auto* const results = static_cast<char*>(of_x.mutable_data_ptr());
    for_each_row(cut, other.data(), [&](int64_t j, const auto& values) {
        // Image j stays outside of its box, and is pasted inside of that of other[j].
        const Box both[] = {boxes[j], boxes[other[j]]};
        const char *const own = grads + j * row_bytes, *const pasted = grads + other[j] * row_bytes;
        for_each_piece(cut.shape, both, [&](int64_t begin, int64_t end, int inside) {
            values.for_each_part(begin, end,
                                 [&](int64_t at, int64_t count, const FeatureValues& of_part) {
                                     kernel(inside & 1 ? nullptr : own + at * bytes,
                                            inside & 2 ? pasted + at * bytes : nullptr,
                                            results + j * row_bytes + at * bytes, count, of_part);
                                 });
        });
    });
}

}  // namespace lelkern::mixup

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("cut_rows", &lelkern::mixup::boxed_cut_rows);
    m.impl("cut_rows_backward", &lelkern::mixup::boxed_cut_rows_backward);
}
