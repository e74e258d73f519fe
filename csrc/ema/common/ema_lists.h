// What ema_update_ updates, on every device: averages and their parameters, unpacked and checked.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <vector>

#include "ema/common/ema_pair.h"
#include "shared/common/tensor_lists.h"
#include "shared/common/unpack_lists.h"

namespace lelkern::ema {

using torch::stable::Tensor;

using Dimension = ListDimension<kPair>;
using Pair = ListEntry<kPair>;
using Pairs = TensorLists<kPair>;

inline Pairs unpack(const std::vector<Tensor>& ema, const std::vector<Tensor>& params) {
    return unpack_lists<kPair>({{"ema", ema, true}, {"params", params, false}});
}

}  // namespace lelkern::ema
