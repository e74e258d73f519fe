// Compiles the arithmetic for every instruction set and picks what this machine runs.

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "ema/cpu/ema.h"
#include "shared/common/philox.h"
#include "shared/cpu/cpu_isa.h"
#include "shared/cpu/floating_types.h"

#define LELKERN_ISA_FAMILY ema
#define LELKERN_ISA_HEADER "ema/cpu/ema_kernels.h"
#include "shared/cpu/foreach_isa.h"

namespace lelkern::ema {

Weights::Weights(double decay)
    : weight(decay >= 0 && decay <= 1 ? std::min(decay, 1 - decay)
                                      : std::numeric_limits<double>::quiet_NaN()),
      ema_is_heavy(decay >= 0.5) {}

namespace {

#if defined(LELKERN_COMPILES_AVX512)
// AVX-512 where it computes, and AVX2 where it only waits: two loads of half a cache line each make
// the processor fetch ahead earlier than one of a whole line (Zen 4: 10 % of an update in float32).
Kernels with_narrow_loads() {
    Kernels best = avx512::kKernels;
    for (const ScalarType ema : {ScalarType::Double, ScalarType::Float}) {
        std::copy_n(avx2::kKernels.updates[place_of(ema)], 4, best.updates[place_of(ema)]);
    }
    return best;
}
#endif

}  // namespace

const Kernels& kernels() {
    switch (cpu_isa()) {
#if defined(LELKERN_COMPILES_AVX512)
        case Isa::avx512_bf16:
        case Isa::avx512: {
            static const Kernels best = with_narrow_loads();
            return best;
        }
#endif
#if defined(__x86_64__)
        case Isa::avx2:
            return avx2::kKernels;
#endif
        default:
            return baseline::kKernels;
    }
}

}  // namespace lelkern::ema
