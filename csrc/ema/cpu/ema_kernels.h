// Arithmetic of ema_update_ on vectors, to the bit as lelkern/reference/ema.py has it.
//
// Included by foreach_isa.h once for each instruction set, inside that set's namespace.

// n numbers of type T, wherever they begin.
template <typename T, int n>
struct Several {
    typedef T Type __attribute__((vector_size(n * sizeof(T))));
    typedef T Loose __attribute__((vector_size(n * sizeof(T)), aligned(sizeof(T)), may_alias));
};

template <typename To, int n, typename From>
inline typename Several<To, n>::Type converted(const From& from) {
    return __builtin_convertvector(from, typename Several<To, n>::Type);
}

template <typename T, int n>
inline typename Several<T, n>::Type load_several(const void* from) {
    return *static_cast<const typename Several<T, n>::Loose*>(from);
}

template <typename T, int n>
inline void store_several(void* to, const typename Several<T, n>::Type& value) {
    *static_cast<typename Several<T, n>::Loose*>(to) = value;
}

#if defined(__x86_64__)
constexpr int kToNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
#endif

// n numbers of 16 bits, in 32 bits each. Without being told GCC widens halves of a vector one by
// one.
template <int n>
inline typename Several<uint32_t, n>::Type load_halves(const void* from) {
#if defined(LELKERN_HAS_AVX512)
    if constexpr (n == 16) {
        const __m256i halves = _mm256_loadu_si256(static_cast<const __m256i*>(from));
        return (typename Several<uint32_t, n>::Type)_mm512_maskz_cvtepu16_epi32(0xffff, halves);
    }
#endif
#if defined(__x86_64__) && LELKERN_VECTOR_BYTES >= 32
    if constexpr (n == 8) {
        const __m128i halves = _mm_loadu_si128(static_cast<const __m128i*>(from));
        return (typename Several<uint32_t, n>::Type)_mm256_cvtepu16_epi32(halves);
    }
#endif
    return converted<uint32_t, n>(load_several<uint16_t, n>(from));
}

// Keeps the compiler from fusing a multiplication with what follows: every implementation rounds
// the product.
template <typename V>
inline void round_here(V& value) {
#if defined(__x86_64__)
    asm("" : "+x"(value));
#elif defined(__aarch64__)
    asm("" : "+w"(value));
#else
    asm("" : "+m"(value));
#endif
}

template <int n>
struct Halves {
    using Float = typename Several<float, n>::Type;
    using Bits = typename Several<uint32_t, n>::Type;
    using Int = typename Several<int32_t, n>::Type;

    static constexpr uint32_t kSign = 0x80000000, kInf = 0x7f800000;
    static constexpr uint32_t kTiny = 113u << 23;  // 2^-14: float16 has no smaller normal number
    static constexpr uint32_t kHuge = 143u << 23;  // 2^16: beyond float16

    static Bits pick(const Int& condition, const Bits& yes, const Bits& no) {
        return condition ? yes : no;
    }
    static Bits all(uint32_t value) { return value - Bits{}; }

    static Float widen_bfloat16(const Bits& half) { return (Float)(half << 16); }

    // Exact, and in normal numbers throughout: some processes flush others to zero.
    static Float widen_float16(const Bits& half) {
        const Bits magnitude = (half & 0x7fff) << 13, sign = (half & 0x8000) << 16;
        const Bits exponent = magnitude & (0x7c00u << 13);
        const Bits rebiased = magnitude + (112u << 23);
        const Float tiny = (Float)(rebiased + (1u << 23)) - (Float)all(kTiny);
        const Bits result = pick((Int)(exponent == (0x7c00u << 13)), rebiased + (112u << 23),
                                 pick((Int)(exponent == 0), (Bits)tiny, rebiased));
        return (Float)(result | sign);
    }

    // To the nearest, ties to even.
    static Bits round_bfloat16(const Float& x) {
        const Bits bits = (Bits)x;
        return quieten_bfloat16(bits, (bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }

    // Away from zero if what is dropped and the noise sum to 2^16.
    static Bits round_bfloat16(const Float& x, const Bits& noise) {
        const Bits bits = (Bits)x;
        return quieten_bfloat16(bits, (bits + noise) >> 16);
    }

    static Bits round_float16(const Float& x) {
        const Bits bits = (Bits)x, magnitude = bits & ~kSign;
        const Bits normal = (magnitude + 0xfff + ((magnitude >> 13) & 1)) >> 13;
        // Adding 1/2 drops what is below 2^-24, rounding as it should.
        const Float half = Float{} + 0.5f;
        const Bits tiny = (Bits)((Float)magnitude + half) - (Bits)half;
        return finish_float16(bits, magnitude, normal, tiny);
    }

    static Bits round_float16(const Float& x, const Bits& noise) {
        const Bits bits = (Bits)x, magnitude = bits & ~kSign;
        const Bits normal = (magnitude + (noise >> 3)) >> 13;
        // In units of 2^-24, the distance of float16's numbers here.
        const Float y = (Float)pick((Int)(magnitude < kTiny), magnitude, Bits{}) * 16777216.0f;
        const Int below = converted<int32_t, n>(y);
        const Float rest = y - converted<float, n>(below);
        const Float enough = 1.0f - converted<float, n>((Int)noise) * (1.0f / 65536);
        const Bits tiny = (Bits)below + ((Bits)(rest >= enough) & 1);
        return finish_float16(bits, magnitude, normal, tiny);
    }

  private:
    static Bits quieten_bfloat16(const Bits& bits, const Bits& rounded) {
        return pick((Int)((bits & ~kSign) > kInf), (bits >> 16) | 0x40, rounded);
    }

    static Bits finish_float16(const Bits& bits, const Bits& magnitude, const Bits& normal,
                               const Bits& tiny) {
        const Bits finite = pick((Int)(magnitude < kTiny), tiny, normal - (112u << 10));
        const Bits beyond = pick((Int)(magnitude > kInf), all(0x7e00), all(0x7c00));
        return pick((Int)(magnitude >= kHuge), beyond, finite) | ((bits >> 16) & 0x8000);
    }
};

// Exact. The instructions take numbers below 2^-14 as they are, whatever the process flushes to
// zero.
template <int n>
inline typename Several<float, n>::Type load_float16(const void* from) {
#if defined(LELKERN_HAS_AVX512)
    if constexpr (n == 16) {
        const __m256i halves = _mm256_loadu_si256(static_cast<const __m256i*>(from));
        return (typename Several<float, n>::Type)_mm512_maskz_cvtph_ps(0xffff, halves);
    }
#endif
#if defined(__x86_64__) && LELKERN_VECTOR_BYTES >= 32
    if constexpr (n == 8) {
        const __m128i halves = _mm_loadu_si128(static_cast<const __m128i*>(from));
        return (typename Several<float, n>::Type)_mm256_cvtph_ps(halves);
    }
#endif
    return Halves<n>::widen_float16(load_halves<n>(from));
}

// To the nearest, ties to even.
template <int n>
inline void store_float16(void* to, const typename Several<float, n>::Type& value) {
#if defined(LELKERN_HAS_AVX512)
    if constexpr (n == 16) {
        const __m256i halves = _mm512_maskz_cvtps_ph(0xffff, (__m512)value, kToNearest);
        return _mm256_storeu_si256(static_cast<__m256i*>(to), halves);
    }
#elif defined(__x86_64__) && LELKERN_VECTOR_BYTES == 32
    if constexpr (n == 8) {
        const __m128i halves = _mm256_cvtps_ph((__m256)value, kToNearest);
        return _mm_storeu_si128(static_cast<__m128i*>(to), halves);
    }
#endif
    store_several<uint16_t, n>(to, converted<uint16_t, n>(Halves<n>::round_float16(value)));
}

// n numbers of a dtype as vectors of T.
template <typename T, typename Element, int n>
inline typename Several<T, n>::Type read(const void* from) {
    if constexpr (std::is_same_v<Element, T>) {
        return load_several<T, n>(from);
    } else if constexpr (sizeof(Element) > 2) {
        return converted<T, n>(load_several<Element, n>(from));
    } else if constexpr (std::is_same_v<Element, c10::Half>) {
        return converted<T, n>(load_float16<n>(from));
    } else {
        return converted<T, n>(Halves<n>::widen_bfloat16(load_halves<n>(from)));
    }
}

template <typename T, typename Element, int n, bool stochastic>
inline void write(void* to, const typename Several<T, n>::Type& value, const uint16_t* noise) {
    if constexpr (std::is_same_v<Element, T>) {
        store_several<T, n>(to, value);
    } else if constexpr (std::is_same_v<Element, c10::Half> && !stochastic) {
        store_float16<n>(to, value);
    } else {
        using H = Halves<n>;
        constexpr bool is_float16 = std::is_same_v<Element, c10::Half>;
        typename H::Bits half;
        if constexpr (stochastic) {
            const auto bits = load_halves<n>(noise);
            half = is_float16 ? H::round_float16(value, bits) : H::round_bfloat16(value, bits);
        } else {
            half = H::round_bfloat16(value);
        }
        store_several<uint16_t, n>(to, converted<uint16_t, n>(half));
    }
}

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
