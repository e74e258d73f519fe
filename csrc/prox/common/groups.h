// Groups of numbers and their thresholds, as plain numbers, for whatever has no tensors.
#pragma once

#include <cstdint>

namespace lelkern::prox {

// Where the groups of a contiguous tensor lie. Interleaved: it is (outer, size, inner), and group
// a inner + b is [a, :, b]. Listed: group g is the numbers at indices[ptr[g]] to
// indices[ptr[g + 1] - 1]; numbers at no index are in no group.
struct Groups {
    int64_t outer, size, inner;
    const int64_t *ptr, *indices;  // on the tensor's device, or null: interleaved
    int64_t count;                 // of groups
    int64_t entries;               // how many indices there are

    bool listed() const { return ptr != nullptr; }
};

// Of the dtype that is computed in: one each, or one for all. Null: 0.
struct Thresholds {
    const void* values;
    bool each;
};

}  // namespace lelkern::prox
