// Whether what an op writes has memory of its own.
#pragma once

#include <torch/headeronly/util/Exception.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "shared/common/tensor_lists.h"

namespace lelkern {

// The memory of lists of tensors.
template <int lists>
class ListMemory {
  public:
    ListMemory(const TensorList (&given)[lists], const TensorLists<lists>& unpacked)
        : given_(given), entries_(unpacked.entries), dimensions_(unpacked.dimensions) {}

    // Raises unless every element of a list that is written lies where no other element does.
    void check() const {
        std::vector<Span> spans;
        spans.reserve(lists * entries_.size());
        for (const ListEntry<lists>& entry : entries_) {
            if (entry.count == 0) continue;
            for (int list = 0; list < lists; ++list) {
                spans.push_back(span_of(entry, list));
                if (given_[list].written) check_alone(spans.back());
            }
        }
        std::sort(spans.begin(), spans.end(),
                  [](const Span& a, const Span& b) { return a.begin < b.begin; });
        std::vector<const Span*> reaching;  // into what comes next
        for (const Span& span : spans) {
            const auto passed = [&](const Span* earlier) { return earlier->end <= span.begin; };
            reaching.erase(std::remove_if(reaching.begin(), reaching.end(), passed),
                           reaching.end());
            for (const Span* earlier : reaching) check_apart(*earlier, span);
            reaching.push_back(&span);
        }
    }

  private:
    // Where a tensor lies in memory.
    struct Span {
        std::uintptr_t begin, end;  // bytes
        bool dense;                 // every byte is an element's; false: perhaps not
        int list;
        const ListEntry<lists>* entry;
    };

    // Which bytes of a range are elements' own.
    class Bytes {
      public:
        Bytes(std::uintptr_t begin, std::uintptr_t end) : begin_(begin), taken_(end - begin) {}

        // Takes those of an element; returns whether one was taken already.
        bool take(std::uintptr_t at, int64_t size) {
            bool twice = false;
            for (std::uintptr_t byte = at; byte < at + size; ++byte) {
                if (byte < begin_ || byte - begin_ >= taken_.size()) continue;
                twice |= taken_[byte - begin_];
                taken_[byte - begin_] = true;
            }
            return twice;
        }

      private:
        std::uintptr_t begin_;
        std::vector<bool> taken_;
    };

    const ListDimension<lists>* dimensions_of(const ListEntry<lists>& entry) const {
        return dimensions_.data() + entry.first_dimension;
    }

    Span span_of(const ListEntry<lists>& entry, int list) const {
        const auto begin = reinterpret_cast<std::uintptr_t>(entry.of[list].data);
        const ListDimension<lists>* dimensions = dimensions_of(entry);
        int64_t last = entry.dimensions > 0 ? 0 : entry.count - 1;
        for (int64_t d = 0; d < entry.dimensions; ++d) {
            last += (dimensions[d].size - 1) * dimensions[d].strides[list];
        }
        const bool dense = last + 1 == entry.count && is_injective(entry, list);
        return {begin, begin + (last + 1) * entry.of[list].element_bytes, dense, list, &entry};
    }

    // Whether strides alone show that no two elements of a tensor have the same place.
    bool is_injective(const ListEntry<lists>& entry, int list) const {
        const ListDimension<lists>* dimensions = dimensions_of(entry);
        int64_t last = 0;
        for (int64_t d = 0; d < entry.dimensions; ++d) {
            const int64_t stride = dimensions[d].strides[list];
            if (stride <= last) return false;
            last += (dimensions[d].size - 1) * stride;
        }
        return true;
    }

    // Takes the bytes of all elements; returns whether one was taken already.
    bool take(Bytes& bytes, const Span& span) const {
        const ListEntry<lists>& entry = *span.entry;
        const int64_t size = entry.of[span.list].element_bytes;
        bool twice = false;
        const auto element = [&](int64_t place) {
            twice |= bytes.take(span.begin + place * size, size);
        };
        if (entry.dimensions > 0) {
            for_each_place(dimensions_of(entry), entry.dimensions, span.list, element);
        } else {
            for (int64_t i = 0; i < entry.count; ++i) element(i);
        }
        return twice;
    }

    // Calls f(place) with the distance from the first of every element, in elements.
    template <typename F>
    static void for_each_place(const ListDimension<lists>* dimensions, int64_t count, int list,
                               const F& f, int64_t place = 0) {
        if (count == 0) return f(place);
        const ListDimension<lists>& outer = dimensions[count - 1];
        for (int64_t i = 0; i < outer.size; ++i) {
            for_each_place(dimensions, count - 1, list, f, place + i * outer.strides[list]);
        }
    }

    bool share_elements(const Span& a, const Span& b) const {
        if (a.dense && b.dense) return true;
        Bytes bytes(std::max(a.begin, b.begin), std::min(a.end, b.end));
        take(bytes, a);
        return take(bytes, b);
    }

    void check_alone(const Span& span) const {
        if (is_injective(*span.entry, span.list)) return;
        Bytes bytes(span.begin, span.end);
        STD_TORCH_CHECK(!take(bytes, span), name_of(span), "[", index_of(span),
                        "] must have an element of its own in every place");
    }

    void check_apart(const Span& earlier, const Span& later) const {
        const bool later_written = given_[later.list].written;
        if (!later_written && !given_[earlier.list].written) return;
        const Span &written = later_written ? later : earlier,
                   &other = later_written ? earlier : later;
        STD_TORCH_CHECK(!share_elements(earlier, later), name_of(written), "[", index_of(written),
                        "] must not share memory with ", name_of(other), "[", index_of(other), "]");
    }

    const char* name_of(const Span& span) const { return given_[span.list].name; }
    int64_t index_of(const Span& span) const { return span.entry - entries_.data(); }

    const TensorList (&given_)[lists];
    const std::vector<ListEntry<lists>>& entries_;
    const std::vector<ListDimension<lists>>& dimensions_;
};

}  // namespace lelkern
