// Compiles the arithmetic for every instruction set and picks what this machine runs.

#include "prox/cpu/prox_kernels.h"

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "shared/cpu/cpu_isa.h"

#define LELKERN_ISA_FAMILY prox
#define LELKERN_ISA_HEADER "prox/cpu/prox_kernels_isa.h"
#include "shared/cpu/foreach_isa.h"

namespace lelkern::prox {
namespace {

const ProxKernels* all_prox_kernels() {
    switch (cpu_isa()) {
#if defined(__x86_64__)
        case Isa::avx512_bf16:
        case Isa::avx512:
            return avx512::kProxKernels;
        case Isa::avx2:
            return avx2::kProxKernels;
#endif
        default:
            return baseline::kProxKernels;
    }
}

}  // namespace

const ProxKernels& prox_kernels(ScalarType dtype) {
    const ProxKernels* const all = all_prox_kernels();
    switch (dtype) {
        case ScalarType::Double:
            return all[0];
        case ScalarType::Float:
            return all[1];
        case ScalarType::Half:
            return all[2];
        default:
            return all[3];  // bfloat16: the ops let no others pass
    }
}

int64_t scratch_bytes(int64_t n) {
    constexpr int64_t vector = 64;  // bytes of the widest, and more than its numbers
    return (n + vector) * static_cast<int64_t>(sizeof(double));
}

bool are_in_range(double squares, int64_t n, ScalarType dtype) {
    if (dtype != ScalarType::Double) return true;
    return squares >= 1e-290 * static_cast<double>(n) &&
           squares <= std::numeric_limits<double>::max();
}

}  // namespace lelkern::prox
