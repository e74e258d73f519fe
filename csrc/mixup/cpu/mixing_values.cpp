// Whether values may be mixed with: all that an op of mixing is given, in one go.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "mixup/common/box_pieces.h"
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

// Whether boxes (R, 4), top, left, height and width, are within their images.
bool are_within(const Tensor& boxes, int64_t height, int64_t width) {
    STD_TORCH_CHECK(boxes.dim() == 2 && boxes.size(1) == 4, "boxes must be (R, 4)");
    const Tensor values = as_contiguous(boxes);
    const auto* const first = static_cast<const int64_t*>(values.const_data_ptr());
    for (const int64_t* b = first; b < first + values.numel(); b += 4) {
        if (!is_within({b[0], b[1], b[2], b[3]}, height, width)) return false;
    }
    return true;
}

Tensor mixing_values(OptionalTensor lam, OptionalTensor perm, OptionalTensor classes,
                     OptionalTensor boxes, int64_t num_classes, int64_t height, int64_t width) {
    for (const auto& whole : {perm, classes, boxes}) {
        STD_TORCH_CHECK(!whole || whole->scalar_type() == ScalarType::Long,
                        "perm, classes and boxes must be int64");
    }
    const auto is_class = [&](int64_t c) { return c >= 0 && c < num_classes; };
    const bool right = (!lam || are_weights(*lam)) && (!perm || is_permutation(*perm)) &&
                       (!classes || all_of<int64_t>(*classes, is_class)) &&
                       (!boxes || are_within(*boxes, height, width));
    const auto& given = lam ? lam : perm ? perm : classes ? classes : boxes;
    STD_TORCH_CHECK(given, "one of lam, perm, classes and boxes must be given");
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
