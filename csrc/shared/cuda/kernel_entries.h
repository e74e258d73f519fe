// From unpacked lists of tensors to what kernels take.
#pragma once

#include <vector>

#include "shared/common/tensor_lists.h"
#include "shared/cuda/kernel_entry.h"
#include "shared/cuda/tensors.h"

namespace lelkern {

// Valid as long as the lists are.
template <int lists>
std::vector<KernelEntry<lists>> kernel_entries(const TensorLists<lists>& unpacked) {
    std::vector<KernelEntry<lists>> entries;
    entries.reserve(unpacked.entries.size());
    for (const ListEntry<lists>& from : unpacked.entries) {
        KernelEntry<lists>& to = entries.emplace_back();
        for (int list = 0; list < lists; ++list) {
            to.data[list] = from.of[list].data;
            to.elements[list] = element_of(from.of[list].dtype);
        }
        to.count = from.count;
        to.dimensions = unpacked.dimensions.data() + from.first_dimension;
        to.dimension_count = static_cast<int>(from.dimensions);
    }
    return entries;
}

}  // namespace lelkern
