// Rows of a 2-D tensor of any floating dtype and any strides, read and written as float or double.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <cstdint>
#include <type_traits>

#include "contrastive/cpu/row_math.h"
#include "shared/common/dispatch_floating.h"

namespace lelkern::contrastive {

using torch::stable::Tensor;

// The rows of a tensor (N, D), asked for once: calls across the ABI cost more than a short row.
class Rows {
  public:
    explicit Rows(const Tensor& tensor)
        : data_(const_cast<void*>(tensor.const_data_ptr())),  // reading copies no lazy clone
          dtype_(tensor.scalar_type()),
          count_(tensor.size(0)),
          D_(tensor.size(1)),
          row_(tensor.stride(0)),
          step_(tensor.stride(1)) {}

    int64_t count() const { return count_; }

    // out[0..D) = row i.
    void read(int64_t i, double* out) const {
        dispatch_floating(dtype_, [&](auto* type) {
            using Element = std::remove_pointer_t<decltype(type)>;
            const auto* at = static_cast<const Element*>(data_) + i * row_;
            if constexpr (std::is_same_v<Element, float>) {
                if (step_ == 1) return convert(at, out, D_);
            }
            for (int64_t d = 0; d < D_; ++d) out[d] = static_cast<double>(at[d * step_]);
        });
    }

    // Row i = factor * in[0..D), rounded to the dtype.
    void write(int64_t i, const double* in, double factor) const {
        dispatch_floating(dtype_, [&](auto* type) {
            using Element = std::remove_pointer_t<decltype(type)>;
            auto* at = static_cast<Element*>(data_) + i * row_;
            if constexpr (std::is_same_v<Element, float>) {
                if (step_ == 1) return scale(in, factor, at, D_);
            }
            for (int64_t d = 0; d < D_; ++d) at[d * step_] = static_cast<Element>(factor * in[d]);
        });
    }

  private:
    void* data_;
    ScalarType dtype_;
    int64_t count_, D_, row_, step_;
};

}  // namespace lelkern::contrastive
