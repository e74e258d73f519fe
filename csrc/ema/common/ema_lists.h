// Two lists of tensors, unpacked and checked: what ema_update_ updates, on every device.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>
#include <vector>

#include "ema/common/ema_dimension.h"

namespace lelkern::ema {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Of a dense tensor; asked for once: the questions are most of the time of an update of small ones.
struct Shape {
    int64_t dimensions;
    const int64_t *sizes, *strides;  // valid until the tensor changes
};

Shape shape_of(AtenTensorHandle tensor);

// Where its first element is; for writing, after which a lazy clone is a real one.
void* memory_of(AtenTensorHandle tensor, bool to_write);

// An average and its parameter.
struct Pair {
    void* ema;
    const void* param;
    ScalarType ema_dtype, param_dtype;
    int64_t ema_bytes, param_bytes;  // of an element
    int64_t count;                   // elements
    // Which of the dimensions of all pairs say where the elements lie, the innermost first. None:
    // the elements of both lie side by side, in the same order.
    int64_t first_dimension, dimensions;
};

struct Pairs {
    std::vector<Pair> pairs;
    std::vector<Dimension> dimensions;
    std::vector<int64_t> starts;  // of each pair and after the last: how many elements come before
};

// Raises unless the tensors pair up and no element of an average is one of anything else, too. The
// front door explains what is wrong in more words.
Pairs unpack(const std::vector<Tensor>& ema, const std::vector<Tensor>& params);

}  // namespace lelkern::ema
