// Arithmetic of ema_update_ on vectors, to the bit as lelkern/reference/ema.py has it.
//
// Included by foreach_isa.h once for each instruction set, inside that set's namespace.

#include "shared/cpu/simd_numbers.h"

#include "shared/cpu/simd_philox.h"

template <typename Ema, typename Param, bool stochastic>
__attribute__((noinline)) void update_as(Ema* ema, const Param* param, int64_t n,
                                         const Weights& weights, const uint16_t* noise) {
    using T = std::conditional_t<std::is_same_v<Ema, double>, double, float>;
    constexpr int lanes = Lanes<T>::count;
    const T weight = static_cast<T>(weights.weight);
    const bool ema_is_heavy = weights.ema_is_heavy, only_heavy = weight == 0;
    const auto step = [&](Ema* average, const Param* parameter, const uint16_t* random) {
        const auto a = read<T, Ema, lanes>(average);
        const auto p = read<T, Param, lanes>(parameter);
        const auto heavy = ema_is_heavy ? a : p, light = ema_is_heavy ? p : a;
        Vec<T> by = weight * (light - heavy);
        round_here(by);
        const Vec<T> mean = only_heavy ? heavy : heavy + by;
        write<T, Ema, lanes, stochastic>(average, mean, random);
    };
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) step(ema + i, param + i, stochastic ? noise + i : nullptr);
    if (i == n) return;
    Ema averages[lanes] = {};
    Param parameters[lanes] = {};
    uint16_t random[lanes] = {};
    std::copy(ema + i, ema + n, averages);
    std::copy(param + i, param + n, parameters);
    if (stochastic) std::copy(noise + i, noise + n, random);
    step(averages, parameters, random);
    std::copy(averages, averages + (n - i), ema + i);
}

template <typename Ema, typename Param>
void update(void* ema, const void* param, int64_t n, const Weights& weights,
            const uint16_t* noise) {
    auto* average = static_cast<Ema*>(ema);
    const auto* parameter = static_cast<const Param*>(param);
    if constexpr (sizeof(Ema) == 2) {
        if (noise != nullptr) {
            return update_as<Ema, Param, true>(average, parameter, n, weights, noise);
        }
    }
    update_as<Ema, Param, false>(average, parameter, n, weights, nullptr);
}

// The counter of a block is its number (64 bits) and t.
__attribute__((noinline)) void fill_noise(uint64_t seed, uint32_t t, const uint64_t* blocks,
                                          int64_t count, uint16_t* noise) {
    constexpr int lanes = LELKERN_VECTOR_BYTES / 8;
    static_assert(kBlocksAtOnce % lanes == 0);
    const PhiloxVector low = PhiloxVector{} + 0xffffffff;
    for (int64_t i = 0; i < count; i += lanes) {
        const PhiloxVector block = load_several<uint64_t, lanes>(blocks + i);
        const PhiloxVectors random =
            philox_of({{block, block >> 32, PhiloxVector{} + t, PhiloxVector{}}}, seed);
        const PhiloxVector first = (random.at[0] & low) | (random.at[1] << 32);
        const PhiloxVector second = (random.at[2] & low) | (random.at[3] << 32);
        uint64_t words[2][lanes];
        store_several<uint64_t, lanes>(words[0], first);
        store_several<uint64_t, lanes>(words[1], second);
        for (int lane = 0; lane < lanes; ++lane) {
            // Four elements a word, the first one lowest: little-endian, as all these machines are.
            const uint64_t block_words[2] = {words[0][lane], words[1][lane]};
            std::memcpy(noise + (i + lane) * kBlock, block_words, sizeof(block_words));
        }
    }
}

constexpr Kernels kKernels = {
    {{update<double, double>, update<double, float>, update<double, c10::Half>,
      update<double, c10::BFloat16>},
     {update<float, double>, update<float, float>, update<float, c10::Half>,
      update<float, c10::BFloat16>},
     {update<c10::Half, double>, update<c10::Half, float>, update<c10::Half, c10::Half>,
      update<c10::Half, c10::BFloat16>},
     {update<c10::BFloat16, double>, update<c10::BFloat16, float>, update<c10::BFloat16, c10::Half>,
      update<c10::BFloat16, c10::BFloat16>}},
    fill_noise,
};
