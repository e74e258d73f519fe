// Draws of MixUp's lambda on the CPU.

#include "mixup/common/mixup_lambda.h"

#include <torch/csrc/stable/ops.h>

#include <type_traits>

#include "mixup/common/beta_draw.h"
#include "shared/common/dispatch_floating.h"

namespace lelkern::mixup {
namespace {

constexpr int64_t kGrain = 128;  // draws that are worth waking a thread

}  // namespace

void draw_lambda(const Tensor& seed, const Tensor& alpha, bool fold, Tensor& lam) {
    const auto key = *static_cast<const uint64_t*>(seed.const_data_ptr());
    const double of_alpha = *static_cast<const double*>(alpha.const_data_ptr());
    dispatch_floating(lam.scalar_type(), [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        T* const to = static_cast<T*>(lam.mutable_data_ptr());
        torch::stable::parallel_for(0, lam.numel(), kGrain, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const double draw = beta_draw(key, of_alpha, i, fold);
                if constexpr (sizeof(T) == 2) {
                    to[i] = static_cast<T>(static_cast<float>(draw));
                } else {
                    to[i] = static_cast<T>(draw);
                }
            }
        });
    });
}

}  // namespace lelkern::mixup

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("mixup_lambda", &lelkern::mixup::boxed_mixup_lambda);
}
