// Lists of tensors that an op goes through side by side, as plain numbers. The tensors i of all
// lists, which have one shape, are an entry.
#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>
#include <vector>

#include "shared/common/list_dimension.h"

namespace lelkern {

using torch::headeronly::ScalarType;

// A list as an op is given it.
struct TensorList {
    const char* name;  // of the argument, for errors
    const std::vector<torch::stable::Tensor>& tensors;
    bool written;  // false: only read
};

// One tensor of an entry.
struct ListedTensor {
    void* data;  // to be written only if its list is
    ScalarType dtype;
    int64_t element_bytes;
};

template <int lists>
struct ListEntry {
    ListedTensor of[lists];
    int64_t count;  // elements of each tensor
    // Which of the dimensions of all entries say where the elements lie, the innermost first. None:
    // the elements of every tensor lie side by side, in the same order.
    int64_t first_dimension, dimensions;
};

template <int lists>
struct TensorLists {
    std::vector<ListEntry<lists>> entries;
    std::vector<ListDimension<lists>> dimensions;
    std::vector<int64_t> starts;  // of each entry and after the last: how many elements come before
};

}  // namespace lelkern
