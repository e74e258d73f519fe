#include "ema/common/ema_lists.h"

#include <torch/csrc/stable/c/shim.h>
#include <torch/csrc/stable/device.h>
#include <torch/headeronly/util/Exception.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <numeric>

#include "shared/common/dispatch_floating.h"

namespace lelkern::ema {
namespace {

// Where a tensor lies in memory.
struct Span {
    std::uintptr_t begin, end;  // bytes
    bool is_average;
    bool dense;  // every byte is an element's; false: perhaps not
    const Pair* pair;
};

int64_t bytes_of(ScalarType dtype) {
    int64_t bytes = 0;
    dispatch_floating(dtype, [&](auto* type) { bytes = sizeof(*type); });
    return bytes;
}

void check_alike(const char* name, std::size_t i, const Tensor& tensor, const Tensor& first) {
    STD_TORCH_CHECK(tensor.device() == first.device(), name, "[", i,
                    "] must be on the device of ema[0]");
    int32_t layout = 0;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_layout(tensor.get(), &layout));
    STD_TORCH_CHECK(layout == aoti_torch_layout_strided(), name, "[", i, "] must be dense");
}

int64_t elements_of(const Shape& shape) {
    return std::accumulate(shape.sizes, shape.sizes + shape.dimensions, int64_t{1},
                           std::multiplies<>());
}

// Appends the dimensions of a pair to `all`, in the order of the average's memory, as few as will
// do. Returns their number, 0 if the elements of both lie side by side.
int64_t add_dimensions(const Shape& average, const Shape& param, std::vector<Dimension>& all) {
    const auto first = static_cast<std::ptrdiff_t>(all.size());
    for (int64_t d = average.dimensions; d-- > 0;) {
        if (average.sizes[d] == 1) continue;
        all.push_back({average.sizes[d], average.strides[d], param.strides[d]});
    }
    std::stable_sort(all.begin() + first, all.end(), [](const auto& a, const auto& b) {
        return std::pair(a.ema_stride, a.param_stride) < std::pair(b.ema_stride, b.param_stride);
    });
    std::ptrdiff_t last = first;
    for (auto d = first + 1; d < static_cast<std::ptrdiff_t>(all.size()); ++d) {
        Dimension& inner = all[last];
        const Dimension outer = all[d];
        if (outer.ema_stride == inner.size * inner.ema_stride &&
            outer.param_stride == inner.size * inner.param_stride) {
            inner.size *= outer.size;
        } else {
            all[++last] = outer;
        }
    }
    const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(all.size());
    const std::ptrdiff_t count = size == first ? 0 : last + 1 - first;
    const bool flat =
        count == 0 || (count == 1 && all[first].ema_stride == 1 && all[first].param_stride == 1);
    all.resize(flat ? first : first + count);
    return flat ? 0 : count;
}

// Calls f(place) with the distance from the first of every element, in elements.
template <typename F>
void for_each_place(const Dimension* dimensions, int64_t count, bool of_average, const F& f,
                    int64_t place = 0) {
    if (count == 0) return f(place);
    const Dimension& outer = dimensions[count - 1];
    const int64_t stride = of_average ? outer.ema_stride : outer.param_stride;
    for (int64_t i = 0; i < outer.size; ++i) {
        for_each_place(dimensions, count - 1, of_average, f, place + i * stride);
    }
}

// Which bytes of a range are elements' own.
class Bytes {
  public:
    Bytes(std::uintptr_t begin, std::uintptr_t end) : begin_(begin), taken_(end - begin) {}

    // Takes the bytes of a span; returns whether one was taken already.
    bool take(const Span& span, const std::vector<Dimension>& dimensions) {
        const Pair& pair = *span.pair;
        const int64_t bytes = span.is_average ? pair.ema_bytes : pair.param_bytes;
        bool twice = false;
        const auto element = [&](int64_t place) {
            const std::uintptr_t at = span.begin + place * bytes;
            for (std::uintptr_t byte = at; byte < at + bytes; ++byte) {
                if (byte < begin_ || byte - begin_ >= taken_.size()) continue;
                twice |= taken_[byte - begin_];
                taken_[byte - begin_] = true;
            }
        };
        if (pair.dimensions > 0) {
            for_each_place(&dimensions[pair.first_dimension], pair.dimensions, span.is_average,
                           element);
        } else {
            for (int64_t i = 0; i < pair.count; ++i) element(i);
        }
        return twice;
    }

  private:
    std::uintptr_t begin_;
    std::vector<bool> taken_;
};

// Whether strides alone show that no two elements of a tensor have the same place.
bool is_injective(const Pair& pair, bool is_average, const std::vector<Dimension>& dimensions) {
    int64_t last = 0;
    for (int64_t d = 0; d < pair.dimensions; ++d) {
        const Dimension& dimension = dimensions[pair.first_dimension + d];
        const int64_t stride = is_average ? dimension.ema_stride : dimension.param_stride;
        if (stride <= last) return false;
        last += (dimension.size - 1) * stride;
    }
    return true;
}

Span span_of(const Pair& pair, bool is_average, const std::vector<Dimension>& dimensions) {
    const auto begin = reinterpret_cast<std::uintptr_t>(is_average ? pair.ema : pair.param);
    int64_t last = pair.count - 1;
    if (pair.dimensions > 0) {
        last = 0;
        for (int64_t d = 0; d < pair.dimensions; ++d) {
            const Dimension& dimension = dimensions[pair.first_dimension + d];
            last +=
                (dimension.size - 1) * (is_average ? dimension.ema_stride : dimension.param_stride);
        }
    }
    const int64_t bytes = is_average ? pair.ema_bytes : pair.param_bytes;
    const bool dense = last + 1 == pair.count && is_injective(pair, is_average, dimensions);
    return {begin, begin + (last + 1) * bytes, is_average, dense, &pair};
}

bool share_elements(const Span& a, const Span& b, const std::vector<Dimension>& dimensions) {
    if (a.dense && b.dense) return true;
    const std::uintptr_t begin = std::max(a.begin, b.begin), end = std::min(a.end, b.end);
    Bytes first(begin, end);
    first.take(a, dimensions);
    return first.take(b, dimensions);
}

void check_memory(const Pairs& lists) {
    std::vector<Span> spans;
    spans.reserve(2 * lists.pairs.size());
    for (const Pair& pair : lists.pairs) {
        if (pair.count == 0) continue;
        spans.push_back(span_of(pair, true, lists.dimensions));
        spans.push_back(span_of(pair, false, lists.dimensions));
        const Span& average = spans[spans.size() - 2];
        const bool injective = is_injective(pair, true, lists.dimensions) ||
                               !Bytes(average.begin, average.end).take(average, lists.dimensions);
        STD_TORCH_CHECK(injective, "ema[", &pair - lists.pairs.data(),
                        "] must have an element of its own in every place");
    }
    std::sort(spans.begin(), spans.end(),
              [](const Span& a, const Span& b) { return a.begin < b.begin; });
    std::vector<const Span*> reaching;  // into what comes next
    for (const Span& span : spans) {
        const auto passed = [&](const Span* earlier) { return earlier->end <= span.begin; };
        reaching.erase(std::remove_if(reaching.begin(), reaching.end(), passed), reaching.end());
        for (const Span* earlier : reaching) {
            STD_TORCH_CHECK(!(span.is_average || earlier->is_average) ||
                                !share_elements(*earlier, span, lists.dimensions),
                            "ema[", (span.is_average ? span : *earlier).pair - lists.pairs.data(),
                            "] must not share memory with another average or a parameter");
        }
        reaching.push_back(&span);
    }
}

}  // namespace

Shape shape_of(AtenTensorHandle tensor) {
    int64_t dimensions = 0, *sizes = nullptr, *strides = nullptr;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_dim(tensor, &dimensions));
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_sizes(tensor, &sizes));
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_strides(tensor, &strides));
    return {dimensions, sizes, strides};
}

void* memory_of(AtenTensorHandle tensor, bool to_write) {
    void* memory = nullptr;
    if (to_write) {
        TORCH_ERROR_CODE_CHECK(torch_get_mutable_data_ptr(tensor, &memory));
        return memory;
    }
    const void* to_read = nullptr;
    TORCH_ERROR_CODE_CHECK(torch_get_const_data_ptr(tensor, &to_read));
    return const_cast<void*>(to_read);
}

Pairs unpack(const std::vector<Tensor>& ema, const std::vector<Tensor>& params) {
    STD_TORCH_CHECK(ema.size() == params.size(), "ema and params must have the same length, got ",
                    ema.size(), " and ", params.size());
    Pairs lists;
    lists.pairs.reserve(ema.size());
    lists.starts.reserve(ema.size() + 1);
    int64_t total = 0;
    for (std::size_t i = 0; i < ema.size(); ++i) {
        check_alike("ema", i, ema[i], ema[0]);
        check_alike("params", i, params[i], ema[0]);
        const Shape average = shape_of(ema[i].get()), param = shape_of(params[i].get());
        STD_TORCH_CHECK(
            average.dimensions == param.dimensions &&
                std::equal(average.sizes, average.sizes + average.dimensions, param.sizes),
            "params[", i, "] must have the shape of ema[", i, "]");
        const ScalarType ema_dtype = ema[i].scalar_type(), param_dtype = params[i].scalar_type();
        Pair pair{memory_of(ema[i].get(), true),
                  memory_of(params[i].get(), false),
                  ema_dtype,
                  param_dtype,
                  bytes_of(ema_dtype),  // which raises
                  bytes_of(param_dtype),
                  elements_of(average),
                  static_cast<int64_t>(lists.dimensions.size()),
                  0};
        if (pair.count > 0) {
            pair.dimensions = add_dimensions(average, param, lists.dimensions);
        }
        lists.pairs.push_back(pair);
        lists.starts.push_back(total);
        total += pair.count;
    }
    lists.starts.push_back(total);
    check_memory(lists);
    return lists;
}

}  // namespace lelkern::ema
