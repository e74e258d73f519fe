// For what says which GPUs the kernels serve.

#include <torch/csrc/stable/library.h>

#include <cstdint>

#include "shared/cuda/register.h"

namespace lelkern {
namespace {

bool has_code_for(int64_t gpu) { return has_code(static_cast<int>(gpu)); }

}  // namespace
}  // namespace lelkern

STABLE_TORCH_LIBRARY_FRAGMENT(lelkern, m) { m.def("has_code_for(int gpu) -> bool"); }

STABLE_TORCH_LIBRARY_IMPL(lelkern, CompositeExplicitAutograd, m) {
    m.impl("has_code_for", TORCH_BOX(&lelkern::has_code_for));
}
