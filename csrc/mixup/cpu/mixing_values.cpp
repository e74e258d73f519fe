// Whether values may be mixed with: all that an op of mixing is given, in one go.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "mixup/common/mixing.h"
#include "shared/common/contiguous.h"

namespace lelkern::mixup {
namespace {

using OptionalTensor = std::optional<Tensor>;

// Whether f holds for all numbers of a vector; `T`: their type.
template <typename T, typename F>
bool all_of(const Tensor& vector, const F& f) {
    const Tensor values = as_contiguous(vector);
    const auto* const first = static_cast<const T*>(values.const_data_ptr());
    return std::all_of(first, first + values.numel(), f);
}

bool are_weights(const Tensor& lam) {
    bool right = false;
    dispatch_floating(lam.scalar_type(), [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        right = all_of<T>(lam, [](T x) { return x >= T(0.0f) && x <= T(1.0f); });
    });
    return right;
}

bool is_permutation(const Tensor& perm) {
    const int64_t n = perm.numel();
    std::vector<char> seen(n);
    return all_of<int64_t>(
        perm, [&](int64_t i) { return i >= 0 && i < n && !std::exchange(seen[i], true); });
}

Tensor mixing_values(OptionalTensor lam, OptionalTensor perm, OptionalTensor classes,
                     int64_t num_classes) {
    for (const auto& whole : {perm, classes}) {
        STD_TORCH_CHECK(!whole || whole->scalar_type() == ScalarType::Long,
                        "perm and classes must be int64");
    }
    const bool right = (!lam || are_weights(*lam)) && (!perm || is_permutation(*perm)) &&
                       (!classes || all_of<int64_t>(*classes, [&](int64_t c) {
                           return c >= 0 && c < num_classes;
                       }));
    const auto& given = lam ? lam : perm ? perm : classes;
    STD_TORCH_CHECK(given, "one of lam, perm and classes must be given");
    Tensor result = torch::stable::new_empty(*given, {}, ScalarType::Bool);
    *static_cast<bool*>(result.mutable_data_ptr()) = right;
    return result;
}

void boxed_mixing_values(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&mixing_values);
    call(stack, inputs, outputs);
}

}  // namespace
}  // namespace lelkern::mixup

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("mixing_values", &lelkern::mixup::boxed_mixing_values);
}
