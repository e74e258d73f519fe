// From tensors to what the kernels that mix images take.
#pragma once

#include <torch/csrc/stable/ops.h>

#include "mixup/common/mixing.h"
#include "mixup/cuda/mixing.h"
#include "shared/cuda/tensors.h"

namespace lelkern::mixup::cuda {

inline Types types_of(ScalarType from, ScalarType to) {
    return {!is_floating(from), element_of(to)};
}

inline RowPointers pointers_of(const ImageRows& rows) {
    return {device_data(rows.values), nullptr, rows.count, rows.stride, 0};
}

// Of a contiguous (rows, D).
inline RowPointers pointers_of(const Tensor& rows) {
    return {device_data(rows), nullptr, rows.size(0), rows.size(1), 0};
}

inline ChannelPointers pointers_of(const ChannelValues& channels) {
    const auto data = [](const std::optional<Tensor>& values) {
        return values ? device_data(*values) : nullptr;
    };
    const auto count = [](const std::optional<Tensor>& values) {
        return values ? static_cast<uint32_t>(values->size(0)) : 1;
    };
    return {data(channels.scale), data(channels.offset), count(channels.scale),
            count(channels.offset), static_cast<uint32_t>(channels.inner)};
}

inline const int64_t* indices_of(const Tensor& vector) {
    return static_cast<const int64_t*>(device_data(vector));
}

// The inverse of a permutation, -1 where there is none.
inline Tensor inverse_of(const Tensor& perm, cudaStream_t stream) {
    Tensor inverse = torch::stable::new_empty(perm, {perm.numel()});
    torch::stable::fill_(inverse, -1);
    auto* const to = static_cast<int64_t*>(inverse.mutable_data_ptr());
    check_cuda(invert(indices_of(perm), perm.numel(), to, stream));
    return inverse;
}

// Raises for what the kernels could not count: blocks, and features in 32 bits.
inline void check_size(int64_t rows, int64_t features) {
    constexpr int64_t most = (int64_t{1} << 31) - 1, chunk = 1024;  // the least that is a block's
    STD_TORCH_CHECK(features <= most - 4 * chunk && rows <= most / ((features + chunk - 1) / chunk),
                    "rows must be fewer or shorter, got ", rows, " of ", features, " features");
}

}  // namespace lelkern::mixup::cuda
