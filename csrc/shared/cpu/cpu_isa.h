// Which instruction set this machine runs, decided once.
#pragma once

#include <torch/headeronly/util/Exception.h>

#include <cstdlib>
#include <string>
#include <utility>

// A build for a machine that has none, and for no other, need not wait for it.
#if defined(__x86_64__) && !defined(LELKERN_WITHOUT_AVX512)
#define LELKERN_COMPILES_AVX512
#endif

namespace lelkern {

enum class Isa { baseline, avx2, avx512, avx512_bf16 };

inline Isa detect_isa() {
    Isa best = Isa::baseline;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c")) {
        best = Isa::avx2;
#if defined(LELKERN_COMPILES_AVX512)
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
            best = __builtin_cpu_supports("avx512bf16") ? Isa::avx512_bf16 : Isa::avx512;
        }
#endif
    }
#endif
    const char* asked = std::getenv("LELKERN_CPU_ISA");
    if (asked == nullptr) return best;
    const std::string name = asked;
    for (const auto& [known, isa] : {std::pair{"baseline", Isa::baseline},
                                     {"avx2", Isa::avx2},
                                     {"avx512", Isa::avx512},
                                     {"avx512_bf16", Isa::avx512_bf16}}) {
        if (name == known && isa <= best) return isa;
    }
    STD_TORCH_CHECK(false,
                    "LELKERN_CPU_ISA must be baseline, avx2, avx512 or avx512_bf16 and run here, "
                    "got ",
                    name);
}

// LELKERN_CPU_ISA=baseline|avx2|avx512|avx512_bf16 asks for a lesser one, so that one machine tests
// them all.
inline Isa cpu_isa() {
    static const Isa isa = detect_isa();
    return isa;
}

}  // namespace lelkern
