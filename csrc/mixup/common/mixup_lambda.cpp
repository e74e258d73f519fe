#include "mixup/common/mixup_lambda.h"

#include <torch/csrc/stable/ops.h>
#include <torch/headeronly/util/Exception.h>

#include "shared/common/dispatch_floating.h"

namespace lelkern::mixup {
namespace {

Tensor draws(const Tensor& seed, const Tensor& alpha, int64_t n, bool fold, ScalarType dtype) {
    STD_TORCH_CHECK(seed.dim() == 0 && seed.scalar_type() == ScalarType::Long,
                    "seed must be an int64 without dimensions");
    STD_TORCH_CHECK(alpha.dim() == 0 && alpha.scalar_type() == ScalarType::Double &&
                        alpha.device() == seed.device(),
                    "alpha must be a float64 without dimensions, on the device of seed");
    STD_TORCH_CHECK(n >= 0, "n must be at least 0, got ", n);
    dispatch_floating(dtype, [](auto*) {});  // which raises
    Tensor lam = torch::stable::new_empty(seed, {n}, dtype);
    if (n > 0) draw_lambda(seed, alpha, fold, lam);
    return lam;
}

}  // namespace

void boxed_mixup_lambda(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&draws);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::mixup
