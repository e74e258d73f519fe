// From tensors to what the proximal kernels take.
#pragma once

#include <torch/csrc/stable/ops.h>

#include "prox/common/checks.h"
#include "prox/common/groups.h"
#include "prox/cuda/threshold_gradient.h"
#include "shared/cuda/tensors.h"

namespace lelkern::prox::cuda {

// One number for all, or one for each.
inline Thresholds thresholds_of(const Tensor& numbers) {
    return {device_data(numbers), numbers.dim() > 0};
}

// A gradient of thresholds with the room that its sum needs.
class GradientRoom {
  public:
    // Of `count` groups, or blocks. `of`: like the thresholds; null: not asked for.
    GradientRoom(Tensor* of, int64_t count) {
        if (of == nullptr) return;
        gradient_.to = of->mutable_data_ptr();
        if (of->dim() > 0) return;
        each_ = torch::stable::new_empty(*of, {count + kSumsRoom}, ScalarType::Double);
        gradient_.each = static_cast<double*>(each_.mutable_data_ptr());
    }

    const ThresholdGradient& gradient() const { return gradient_; }

  private:
    Tensor each_;
    ThresholdGradient gradient_{};
};

}  // namespace lelkern::prox::cuda
