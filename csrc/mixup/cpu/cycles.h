// Permutations of rows, and an order in which each row is still in the cache when it is used again.
#pragma once

#include <torch/headeronly/util/Exception.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "mixup/common/mixing.h"

namespace lelkern::mixup {

// A copy of the numbers of a vector: one who changes them meanwhile does not change what was
// checked.
inline std::vector<int64_t> numbers_of(const Tensor& vector) {
    const auto* const first = static_cast<const int64_t*>(vector.const_data_ptr());
    return {first, first + vector.numel()};
}

// The inverse of a permutation of n numbers. Raises for anything else.
inline std::vector<int64_t> inverse_of(const char* name, const int64_t* perm, int64_t n) {
    std::vector<int64_t> inverse(n, -1);
    for (int64_t i = 0; i < n; ++i) {
        STD_TORCH_CHECK(perm[i] >= 0 && perm[i] < n && inverse[perm[i]] < 0, name,
                        " must be a permutation of 0 to ", n - 1, ", got ", perm[i]);
        inverse[perm[i]] = i;
    }
    return inverse;
}

// Where the mix of each row is, among the rows of a contiguous tensor (R, D): `order` says whose
// mix each of these is. Raises if it is no permutation.
class Places {
  public:
    Places(const std::optional<Tensor>& order, int64_t rows) {
        if (order) places_ = inverse_of("order", numbers_of(*order).data(), rows);
    }

    int64_t operator[](int64_t i) const { return places_.empty() ? i : places_[i]; }

  private:
    std::vector<int64_t> places_;
};

// All rows, each followed by its partner: what was read as a partner is the next row, so that each
// comes from memory once. Raises if the partners of n rows are no permutation of them: then what
// begins at some row does not come back to it.
inline std::vector<int64_t> along_cycles(const char* name, const int64_t* partner, int64_t n) {
    std::vector<int64_t> order;
    order.reserve(n);
    std::vector<char> seen(n);
    for (int64_t start = 0; start < n; ++start) {
        if (seen[start]) continue;
        int64_t row = start;
        do {
            seen[row] = true;
            order.push_back(row);
            row = partner[row];
            STD_TORCH_CHECK(row >= 0 && row < n && (row == start || !seen[row]), name,
                            " must be a permutation of 0 to ", n - 1, ", got ", row);
        } while (row != start);
    }
    return order;
}

}  // namespace lelkern::mixup
