// The prox of many tensors in place, alone, after a step of SGD and in a diagonal metric, on every
// device, and what each device defines of it.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <vector>

#include "prox/common/checks.h"
#include "prox/common/groups.h"
#include "prox/common/sgd_step.h"

namespace lelkern::prox {

// A contiguous tensor that is replaced by its prox. All memory is on its device, and lies nowhere
// else in the list.
struct ListedProx {
    void* w;
    const void* grad;    // of SGD; null without a step
    void* buffer;        // of momentum; null without one
    const void* metric;  // in the dtype that is computed in; null: Euclidean
    ScalarType dtype;    // of w, grad and buffer
    int64_t numbers;     // of each
    Groups groups;
    Thresholds lam1, lam;  // to be multiplied by the scale
};

struct ProxLists {
    std::vector<ListedProx> entries;
    double q, scale;
    OptionalTensor scale_tensor;  // float64 without dimensions, instead of `scale`
    std::vector<Tensor> kept;     // holds memory that the entries point to
};

// The kernels of a device. `step`: null for the prox alone.
void prox_lists(const ProxLists& lists, const SgdStep* step);

using TensorVector = std::vector<Tensor>;

// `sizes`: size and inner of the groups of each tensor, or 0 and 0 of one that takes the next of
// ptr and indices.
struct GroupLists {
    const TensorVector &lam1, &lam, &ptr, &indices;
    const std::vector<int64_t>& sizes;
};

// Arguments are on the stack, in the order of the schemas of prox_group_, prox_sgd_ and
// prox_metric_.
void boxed_prox_group_in_place(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_prox_sgd(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_prox_metric(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::prox
