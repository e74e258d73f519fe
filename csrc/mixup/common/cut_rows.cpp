#include "mixup/common/cut_rows.h"

#include "shared/common/contiguous.h"

namespace lelkern::mixup {
namespace {

using OptionalTensor = std::optional<Tensor>;

RowCut checked(const Tensor& x, const Tensor& boxes, const Tensor& perm,
               const OptionalTensor& scale, const OptionalTensor& offset, int64_t height,
               int64_t width, int64_t inner, ScalarType dtype) {
    check_dtypes(x.scalar_type(), dtype);
    const ScalarType computed = arithmetic_of(x.scalar_type(), dtype);
    const ImageRows rows = image_rows("x", x);
    // By divisions, which do not overflow.
    const bool whole =
        rows.features == 0 ||
        (height > 0 && width > 0 && inner > 0 && rows.features % inner == 0 &&
         rows.features / inner % width == 0 && rows.features / inner / width % height == 0);
    STD_TORCH_CHECK(whole, "x must have whole images of ", height, " x ", width, " pixels, got ",
                    rows.features, " features");
    STD_TORCH_CHECK(boxes.dim() == 2 && boxes.size(0) == rows.count && boxes.size(1) == 4 &&
                        boxes.scalar_type() == ScalarType::Long && boxes.device() == x.device(),
                    "boxes must be (", rows.count, ", 4), int64 and on the device of x");
    const int64_t plane = rows.features > 0 ? height * width * inner : 0;
    const int64_t channel = inner == 1 && plane > 0 ? height * width : 1;
    return {rows,
            as_contiguous(boxes),
            checked_vector("perm", perm, ScalarType::Long, rows.count, x),
            channel_values(scale, offset, channel, computed, x),
            {plane > 0 ? rows.features / plane : 0, height, width, inner},
            dtype,
            computed};
}

Tensor forward(const Tensor& x, const Tensor& boxes, const Tensor& perm, OptionalTensor scale,
               OptionalTensor offset, int64_t height, int64_t width, int64_t inner,
               ScalarType dtype) {
    const RowCut cut = checked(x, boxes, perm, scale, offset, height, width, inner, dtype);
    Tensor result = torch::stable::new_empty(x, {cut.x.count, cut.x.features}, dtype);
    if (result.numel() > 0) cut_rows(cut, result);
    return result;
}

Tensor backward(const Tensor& grad, const Tensor& x, const Tensor& boxes, const Tensor& perm,
                OptionalTensor scale, OptionalTensor offset, int64_t height, int64_t width,
                int64_t inner, ScalarType dtype) {
    const RowCut cut = checked(x, boxes, perm, scale, offset, height, width, inner, dtype);
    const Tensor of_result = checked_gradient(grad, dtype, cut.x.count, cut.x.features, x);
    STD_TORCH_CHECK(is_floating(cut.x.dtype), "x must be floating point to have a gradient");
    Tensor of_x = torch::stable::new_empty(x, {cut.x.count, cut.x.features});
    if (of_x.numel() > 0) cut_rows_backward(cut, of_result, of_x);
    return of_x;
}

}  // namespace

void boxed_cut_rows(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&forward);
    call(stack, inputs, outputs);
}

void boxed_cut_rows_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
    constexpr auto call = TORCH_BOX(&backward);
    call(stack, inputs, outputs);
}

}  // namespace lelkern::mixup
