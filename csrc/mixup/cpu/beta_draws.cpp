// Compiles the draws for every instruction set and picks what this machine runs.

#include "mixup/cpu/beta_draws.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "mixup/common/beta_draw.h"
#include "shared/cpu/cpu_isa.h"

#define LELKERN_ISA_FAMILY mixup
#define LELKERN_ISA_HEADER "mixup/cpu/beta_draws_isa.h"
#include "shared/cpu/foreach_isa.h"

namespace lelkern::mixup {

void beta_draws(uint64_t seed, double alpha, bool fold, int64_t begin, int64_t count, double* to) {
    switch (cpu_isa()) {
#if defined(LELKERN_COMPILES_AVX512)
        case Isa::avx512_bf16:
        case Isa::avx512:
            return avx512::fill_with_draws(seed, alpha, fold, begin, count, to);
#endif
#if defined(__x86_64__)
        case Isa::avx2:
            return avx2::fill_with_draws(seed, alpha, fold, begin, count, to);
#endif
        default:
            return baseline::fill_with_draws(seed, alpha, fold, begin, count, to);
    }
}

}  // namespace lelkern::mixup
