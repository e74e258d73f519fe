// Compiles the arithmetic for every instruction set and picks what this machine runs.

#include "mixup/cpu/mixing_kernels.h"

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>
#include <type_traits>

#include "shared/cpu/cpu_isa.h"
#include "shared/cpu/floating_types.h"

#define LELKERN_ISA_FAMILY mixup
#define LELKERN_ISA_HEADER "mixup/cpu/mixing_kernels_isa.h"
#include "shared/cpu/foreach_isa.h"

namespace lelkern::mixup {
namespace {

using Table = MixingKernels[2][4];

const Table& all_mixing_kernels() {
    switch (cpu_isa()) {
#if defined(LELKERN_COMPILES_AVX512)
        case Isa::avx512_bf16:
        case Isa::avx512:
            return avx512::kMixingKernels;
#endif
#if defined(__x86_64__)
        case Isa::avx2:
            return avx2::kMixingKernels;
#endif
        default:
            return baseline::kMixingKernels;
    }
}

}  // namespace

const MixingKernels& mixing_kernels(ScalarType from, ScalarType to) {
    return all_mixing_kernels()[from == ScalarType::Byte ? 1 : 0][place_of(to)];
}

}  // namespace lelkern::mixup
