// Compiles the arithmetic for every instruction set and picks what this machine runs.

#include "prox/cpu/prox_kernels.h"

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "shared/cpu/cpu_isa.h"
#include "shared/cpu/floating_types.h"

#define LELKERN_ISA_FAMILY prox
#define LELKERN_ISA_HEADER "prox/cpu/prox_kernels_isa.h"
#include "shared/cpu/foreach_isa.h"

namespace lelkern::prox {
namespace {

const ProxKernels* all_prox_kernels() {
    switch (cpu_isa()) {
#if defined(LELKERN_COMPILES_AVX512)
        case Isa::avx512_bf16:
        case Isa::avx512:
            return avx512::kProxKernels;
#endif
#if defined(__x86_64__)
        case Isa::avx2:
            return avx2::kProxKernels;
#endif
        default:
            return baseline::kProxKernels;
    }
}

}  // namespace

const ProxKernels& prox_kernels(ScalarType dtype) { return all_prox_kernels()[place_of(dtype)]; }

int64_t apart_in_scratch(int64_t n) {
    constexpr int64_t widest = 64;
    return (n / widest + 1) * widest;
}

int64_t scratch_bytes(int64_t n) {
    return apart_in_scratch(n) * static_cast<int64_t>(sizeof(double) + 2 * sizeof(float));
}

double* empty_roots(void* scratch, int64_t n) {
    double* const roots = static_cast<double*>(scratch);
    std::fill_n(roots, apart_in_scratch(n), 0.0);
    return roots;
}

float* wide_row(void* scratch, int64_t n, int which) {
    const int64_t numbers = apart_in_scratch(n);
    double* const after_roots = static_cast<double*>(scratch) + numbers;
    return reinterpret_cast<float*>(after_roots) + which * numbers;
}

double least_in_range(ScalarType dtype) { return dtype == ScalarType::Double ? 1e-290 : 1e-30; }

bool are_in_range(double squares, int64_t n, ScalarType dtype) {
    return squares >= least_in_range(dtype) * static_cast<double>(n) &&
           squares <= std::numeric_limits<double>::max();
}

}  // namespace lelkern::prox
