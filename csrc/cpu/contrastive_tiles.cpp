// Compiles the tiles for every instruction set and picks those that this machine runs.

#include <algorithm>

#include "common/cpu_isa.h"
#include "cpu/contrastive.h"

#define LELKERN_FOREACH_ISA "cpu/contrastive_tiles.h"
#include "common/foreach_isa.h"

namespace lelkern::contrastive {

template <typename T>
Kernels<T> kernels(bool bf16) {
    switch (cpu_isa()) {
#if defined(__x86_64__)
        case Isa::avx512_bf16:
            if constexpr (std::is_same_v<T, float>) {
                if (bf16) return lelkern::avx512_bf16::kernels_of<avx512_bf16::BFloat16Pairs>();
            }
            [[fallthrough]];  // what is not in bfloat16 is the same
        case Isa::avx512:
            return lelkern::avx512::kernels_of<avx512::Plain<T>>();
        case Isa::avx2:
            return lelkern::avx2::kernels_of<avx2::Plain<T>>();
#endif
        default:
            return lelkern::baseline::kernels_of<baseline::Plain<T>>();
    }
}

template Kernels<float> kernels<float>(bool bf16);
template Kernels<double> kernels<double>(bool bf16);

}  // namespace lelkern::contrastive
