// For what says which GPUs the kernels serve.

#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <limits>

#include "shared/cuda/register.h"
#include "shared/cuda/tensors.h"

namespace lelkern {
namespace {

bool has_code_for(int64_t gpu) {
    STD_TORCH_CHECK(gpu >= 0 && gpu <= std::numeric_limits<int>::max(),
                    "gpu must be the number of one, got ", gpu);
    bool found = false;
    check_cuda(has_code(static_cast<int>(gpu), &found));
    return found;
}

}  // namespace
}  // namespace lelkern

STABLE_TORCH_LIBRARY_FRAGMENT(lelkern, m) { m.def("has_code_for(int gpu) -> bool"); }

STABLE_TORCH_LIBRARY_IMPL(lelkern, CompositeExplicitAutograd, m) {
    m.impl("has_code_for", TORCH_BOX(&lelkern::has_code_for));
}
