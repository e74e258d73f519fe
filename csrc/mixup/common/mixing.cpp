#include "mixup/common/mixing.h"

#include "shared/common/contiguous.h"

namespace lelkern::mixup {

ImageRows image_rows(const char* name, const Tensor& x) {
    STD_TORCH_CHECK(x.dim() == 2, name, " must be (N, D), got ", x.dim(), " dimensions");
    if (is_floating(x.scalar_type())) dispatch_floating(x.scalar_type(), [](auto*) {});
    const bool side_by_side = x.size(1) < 2 || x.stride(1) == 1;
    Tensor values = side_by_side ? x : as_contiguous(x);
    const int64_t stride = values.size(0) < 2 ? values.size(1) : values.stride(0);
    return {values, x.size(0), x.size(1), stride, x.scalar_type()};
}

void check_dtypes(ScalarType from, ScalarType to) {
    dispatch_floating(to, [](auto*) {});  // which raises
    STD_TORCH_CHECK(!is_floating(from) || from == to, "dtype must be ",
                    torch::headeronly::toString(from), ", that of the rows, got ",
                    torch::headeronly::toString(to));
}

Tensor checked_vector(const char* name, const Tensor& vector, ScalarType dtype, int64_t count,
                      const Tensor& like) {
    STD_TORCH_CHECK(vector.dim() == 1 && vector.size(0) == count, name, " must be (", count, ",)");
    STD_TORCH_CHECK(vector.scalar_type() == dtype, name, " must be ",
                    torch::headeronly::toString(dtype), ", got ",
                    torch::headeronly::toString(vector.scalar_type()));
    STD_TORCH_CHECK(vector.device() == like.device(), name, " must be on the device of the rows");
    return as_contiguous(vector);
}

ChannelValues channel_values(const std::optional<Tensor>& scale,
                             const std::optional<Tensor>& offset, int64_t inner,
                             ScalarType computed, const Tensor& like) {
    STD_TORCH_CHECK(inner > 0 || like.numel() == 0, "inner must be at least 1, got ", inner);
    ChannelValues values{scale, offset, inner};
    const auto check = [&](const char* name, std::optional<Tensor>& of_channels) {
        if (!of_channels) return;
        const int64_t channels = of_channels->dim() == 1 ? of_channels->size(0) : 0;
        STD_TORCH_CHECK(channels > 0 || like.numel() == 0, name,
                        " must have a number for each channel");
        of_channels = checked_vector(name, *of_channels, computed, channels, like);
    };
    check("scale", values.scale);
    check("offset", values.offset);
    if (values.scale && values.offset) {
        const int64_t first = values.scale->size(0), second = values.offset->size(0);
        STD_TORCH_CHECK(first == second || first == 1 || second == 1,
                        "scale and offset must be of as many channels, got ", first, " and ",
                        second);
    }
    return values;
}

Tensor checked_gradient(const Tensor& grad, ScalarType dtype, int64_t rows, int64_t features,
                        const Tensor& like) {
    STD_TORCH_CHECK(grad.dim() == 2 && grad.size(0) == rows && grad.size(1) == features &&
                        grad.scalar_type() == dtype && grad.device() == like.device(),
                    "grad must have the shape, dtype and device of the result");
    return as_contiguous(grad);
}

}  // namespace lelkern::mixup
