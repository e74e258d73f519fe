// The tiles for every instruction set, of which those are picked that this machine runs. Each type
// has a file of its own that instantiates them, so that both are compiled at the same time.
#pragma once

#include <algorithm>

#include "contrastive/cpu/contrastive.h"
#include "shared/cpu/cpu_isa.h"

#define LELKERN_ISA_FAMILY contrastive
#define LELKERN_ISA_HEADER "contrastive/cpu/contrastive_tiles.h"
#include "shared/cpu/foreach_isa.h"

namespace lelkern::contrastive {

template <typename T>
Kernels<T> kernels([[maybe_unused]] bool bf16) {
    switch (cpu_isa()) {
#if defined(LELKERN_COMPILES_AVX512)
        case Isa::avx512_bf16:
            if constexpr (std::is_same_v<T, float>) {
                if (bf16) return avx512_bf16::kernels_of<avx512_bf16::BFloat16Pairs>();
            }
            [[fallthrough]];  // what is not in bfloat16 is the same
        case Isa::avx512:
            return avx512::kernels_of<avx512::Plain<T>>();
#endif
#if defined(__x86_64__)
        case Isa::avx2:
            return avx2::kernels_of<avx2::Plain<T>>();
#endif
        default:
            return baseline::kernels_of<baseline::Plain<T>>();
    }
}

}  // namespace lelkern::contrastive
