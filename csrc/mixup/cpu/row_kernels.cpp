// Compiles the arithmetic for every instruction set and picks what this machine runs.

#include "mixup/cpu/row_kernels.h"

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "shared/cpu/cpu_isa.h"
#include "shared/cpu/floating_types.h"

#define LELKERN_ISA_FAMILY mixup
#define LELKERN_ISA_HEADER "mixup/cpu/row_kernels_isa.h"
#include "shared/cpu/foreach_isa.h"

namespace lelkern::mixup {
namespace {

const RowKernels* all_row_kernels() {
    switch (cpu_isa()) {
#if defined(LELKERN_COMPILES_AVX512)
        case Isa::avx512_bf16:
        case Isa::avx512:
            return avx512::kRowKernels;
#endif
#if defined(__x86_64__)
        case Isa::avx2:
            return avx2::kRowKernels;
#endif
        default:
            return baseline::kRowKernels;
    }
}

}  // namespace

const RowKernels& row_kernels(ScalarType dtype) { return all_row_kernels()[place_of(dtype)]; }

}  // namespace lelkern::mixup
