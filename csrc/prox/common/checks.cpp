#include "prox/common/checks.h"

#include <vector>

#include "shared/common/contiguous.h"

namespace lelkern::prox {

Tensor checked(const char* name, const Tensor& x, ScalarType dtype, const Tensor& like) {
    STD_TORCH_CHECK(x.scalar_type() == dtype, name, " must be ", torch::headeronly::toString(dtype),
                    ", got ", torch::headeronly::toString(x.scalar_type()));
    STD_TORCH_CHECK(x.device() == like.device(), name,
                    " must be on the device of the other tensors");
    return as_contiguous(x);
}

Tensor checked_numbers(const char* name, const Tensor& x, int64_t count, const Tensor& like) {
    STD_TORCH_CHECK(x.dim() == 0 || (x.dim() == 1 && x.size(0) == count), name,
                    " must have no dimensions or be (", count, ",)");
    return checked(name, x, computed_in(like.scalar_type()), like);
}

Tensor checked_like(const char* name, const Tensor& x, const Tensor& like) {
    bool fits = x.dim() == like.dim();
    for (int64_t d = 0; fits && d < like.dim(); ++d) fits = x.size(d) == like.size(d);
    STD_TORCH_CHECK(fits, name, " must have the shape of what it belongs to");
    return checked(name, x, like.scalar_type(), like);
}

Tensor no_gradient(const Tensor& first) {
    std::vector<int64_t> sizes{0};
    for (int64_t d = 1; d < first.dim(); ++d) sizes.push_back(first.size(d));
    return torch::stable::new_empty(first, sizes);
}

}  // namespace lelkern::prox
