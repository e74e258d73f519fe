// Arithmetic of ema_update_ on vectors, to the bit as lelkern/reference/ema.py has it.
//
// Included by foreach_isa.h once for each instruction set, inside that set's namespace.

#include "shared/cpu/simd_numbers.h"

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

using Wide = Several<uint64_t, LELKERN_VECTOR_BYTES / 8>::Type;

// The products of the low halves of 64 bits.
inline Wide product(const Wide& a, const Wide& b) {
#if defined(LELKERN_HAS_AVX512)
    return (Wide)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);
#elif defined(__x86_64__) && LELKERN_VECTOR_BYTES == 32
    return (Wide)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
    return (Wide)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xffffffff) * (b & 0xffffffff);
#endif
}

// Philox4x32-10, Salmon et al., SC 2011: the counter of a block is its number (64 bits) and t.
__attribute__((noinline)) void fill_noise(uint64_t seed, uint32_t t, const uint64_t* blocks,
                                          int64_t count, uint16_t* noise) {
    constexpr int lanes = LELKERN_VECTOR_BYTES / 8;
    static_assert(kBlocksAtOnce % lanes == 0);
    const Wide low = Wide{} + 0xffffffff, by_a = Wide{} + 0xD2511F53, by_c = Wide{} + 0xCD9E8D57;
    for (int64_t i = 0; i < count; i += lanes) {
        const Wide block = load_several<uint64_t, lanes>(blocks + i);
        // Words of 32 bits, with anything in the 32 bits above.
        Wide a = block, b = block >> 32, c = Wide{} + t, d = Wide{};
        uint32_t key_a = static_cast<uint32_t>(seed), key_c = static_cast<uint32_t>(seed >> 32);
        for (int round = 0; round < 10; ++round) {
            const Wide from_a = product(a, by_a), from_c = product(c, by_c);
            a = (from_c >> 32) ^ b ^ key_a;
            b = from_c;
            c = (from_a >> 32) ^ d ^ key_c;
            d = from_a;
            key_a += 0x9E3779B9;
            key_c += 0xBB67AE85;
        }
        const Wide first = (a & low) | (b << 32), second = (c & low) | (d << 32);
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
