// Draws of MixUp's lambda on the CPU.

#include "mixup/common/mixup_lambda.h"

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "mixup/cpu/beta_draws.h"
#include "shared/common/dispatch_floating.h"

namespace lelkern::mixup {
namespace {

constexpr int64_t kGrain = 512;  // draws that are worth waking a thread
constexpr int64_t kBlock = 64;   // draws at a time

}  // namespace

void draw_lambda(const Tensor& seed, const Tensor& alpha, bool fold, Tensor& lam) {
    const auto key = *static_cast<const uint64_t*>(seed.const_data_ptr());
    const double of_alpha = *static_cast<const double*>(alpha.const_data_ptr());
    dispatch_floating(lam.scalar_type(), [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        using Number = std::conditional_t<sizeof(T) == 2, float, T>;  // what 16 bits are made of
        T* const to = static_cast<T*>(lam.mutable_data_ptr());
        if (!(of_alpha > 0)) {
            std::fill_n(to, lam.numel(), static_cast<T>(std::numeric_limits<Number>::quiet_NaN()));
            return;
        }
        torch::stable::parallel_for(0, lam.numel(), kGrain, [&](int64_t begin, int64_t end) {
            double draws[kBlock];
            for (int64_t i = begin; i < end; i += kBlock) {
                const int64_t count = std::min(kBlock, end - i);
                beta_draws(key, of_alpha, fold, i, count, draws);
                for (int64_t k = 0; k < count; ++k) {
                    to[i + k] = static_cast<T>(static_cast<Number>(draws[k]));
                }
            }
        });
    });
}

}  // namespace lelkern::mixup

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("mixup_lambda", &lelkern::mixup::boxed_mixup_lambda);
}
