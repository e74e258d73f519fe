// From lists of tensors to plain numbers, with all that has to be checked, on every device.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/headeronly/util/Exception.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <vector>

#include "shared/common/dispatch_floating.h"
#include "shared/common/list_memory.h"
#include "shared/common/tensor_lists.h"

namespace lelkern {

// Of a dense tensor; asked for once: the questions are most of the time of an op on small ones.
struct TensorShape {
    int64_t dimensions;
    const int64_t *sizes, *strides;  // valid until the tensor changes
};

TensorShape shape_of(AtenTensorHandle tensor);

// Where its first element is; for writing, after which a lazy clone is a real one.
void* memory_of(AtenTensorHandle tensor, bool to_write);

// Raises unless a tensor is dense and on the device of `first`.
void check_listed(const TensorList& list, std::size_t i, const TensorList& first);

// Appends the dimensions of an entry to `all`, in the order of the first tensor's memory, as few as
// will do. Returns their number, 0 if the elements of each tensor lie side by side.
template <int lists>
int64_t add_dimensions(const TensorShape (&shapes)[lists], std::vector<ListDimension<lists>>& all) {
    const auto first = static_cast<std::ptrdiff_t>(all.size());
    for (int64_t d = shapes[0].dimensions; d-- > 0;) {
        if (shapes[0].sizes[d] == 1) continue;
        ListDimension<lists>& dimension = all.emplace_back();
        dimension.size = shapes[0].sizes[d];
        for (int list = 0; list < lists; ++list) {
            dimension.strides[list] = shapes[list].strides[d];
        }
    }
    std::stable_sort(all.begin() + first, all.end(), [](const auto& a, const auto& b) {
        return std::lexicographical_compare(a.strides, a.strides + lists, b.strides,
                                            b.strides + lists);
    });
    std::ptrdiff_t last = first;
    for (auto d = first + 1; d < static_cast<std::ptrdiff_t>(all.size()); ++d) {
        ListDimension<lists>& inner = all[last];
        const ListDimension<lists> outer = all[d];
        const auto follows = [&](int64_t further, int64_t nearer) {
            return further == inner.size * nearer;
        };
        if (std::equal(outer.strides, outer.strides + lists, inner.strides, follows)) {
            inner.size *= outer.size;
        } else {
            all[++last] = outer;
        }
    }
    const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(all.size());
    const std::ptrdiff_t count = size == first ? 0 : last + 1 - first;
    const auto is_one = [](int64_t stride) { return stride == 1; };
    const bool flat = count == 0 || (count == 1 && std::all_of(all[first].strides,
                                                               all[first].strides + lists, is_one));
    all.resize(flat ? first : first + count);
    return flat ? 0 : count;
}

// Raises unless the tensors go together and no element of a list that is written is one of anything
// else, too. The front door explains what is wrong in more words.
template <int lists>
TensorLists<lists> unpack_lists(const TensorList (&given)[lists]) {
    const std::size_t length = given[0].tensors.size();
    for (const TensorList& list : given) {
        STD_TORCH_CHECK(list.tensors.size() == length, given[0].name, " and ", list.name,
                        " must have the same length, got ", length, " and ", list.tensors.size());
    }
    TensorLists<lists> unpacked;
    unpacked.entries.reserve(length);
    unpacked.starts.reserve(length + 1);
    int64_t total = 0;
    for (std::size_t i = 0; i < length; ++i) {
        ListEntry<lists> entry;
        TensorShape shapes[lists];
        for (int list = 0; list < lists; ++list) {
            const TensorList& from = given[list];
            const torch::stable::Tensor& tensor = from.tensors[i];
            check_listed(from, i, given[0]);
            shapes[list] = shape_of(tensor.get());
            STD_TORCH_CHECK(shapes[list].dimensions == shapes[0].dimensions &&
                                std::equal(shapes[0].sizes, shapes[0].sizes + shapes[0].dimensions,
                                           shapes[list].sizes),
                            from.name, "[", i, "] must have the shape of ", given[0].name, "[", i,
                            "]");
            ListedTensor& listed = entry.of[list];
            listed.dtype = tensor.scalar_type();
            dispatch_floating(listed.dtype, [&](auto* type) {  // which raises
                listed.element_bytes = sizeof(*type);
            });
            listed.data = memory_of(tensor.get(), from.written);
        }
        entry.count = std::accumulate(shapes[0].sizes, shapes[0].sizes + shapes[0].dimensions,
                                      int64_t{1}, std::multiplies<>());
        entry.first_dimension = static_cast<int64_t>(unpacked.dimensions.size());
        entry.dimensions = entry.count > 0 ? add_dimensions(shapes, unpacked.dimensions) : 0;
        unpacked.entries.push_back(entry);
        unpacked.starts.push_back(total);
        total += entry.count;
    }
    unpacked.starts.push_back(total);
    ListMemory<lists>(given, unpacked).check();
    return unpacked;
}

}  // namespace lelkern
