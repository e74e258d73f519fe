// Vectors of numbers of any floating type, to and from memory, and their rounding to 16 bits.
//
// Included after simd.h inside the namespace of an instruction set, by the headers of families;
// they are compiled after <algorithm>, <type_traits> and PyTorch's Half.h and BFloat16.h.

// n numbers of type T, wherever they begin.
template <typename T, int n>
struct Several {
    typedef T Type __attribute__((vector_size(n * sizeof(T))));
    typedef T Loose __attribute__((vector_size(n * sizeof(T)), aligned(sizeof(T)), may_alias));
};

template <typename To, int n, typename From>
inline typename Several<To, n>::Type converted(const From& from) {
#if defined(LELKERN_HAS_AVX512)
    // In one instruction, where GCC takes halves of what it is given, and joins them again.
    using Numbers = std::decay_t<decltype(from[0])>;
    if constexpr (n == 8 && std::is_same_v<To, double> && std::is_same_v<Numbers, float>) {
        return (typename Several<To, n>::Type)_mm512_maskz_cvtps_pd(0xff, (__m256)from);
    }
    if constexpr (n == 8 && std::is_same_v<To, float> && std::is_same_v<Numbers, double>) {
        return (typename Several<To, n>::Type)_mm512_maskz_cvtpd_ps(0xff, (__m512d)from);
    }
#endif
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

template <typename T>
struct LaneWindow {
    std::conditional_t<sizeof(T) == 8, int64_t, int32_t> at[2 * Lanes<T>::count] = {};

    constexpr LaneWindow() {
        for (int k = 0; k < Lanes<T>::count; ++k) at[k] = -1;
    }
};

template <typename T>
constexpr LaneWindow<T> kLaneWindow{};

// -1 in the first `count` lanes, 0 in the others.
template <typename T>
inline typename Lanes<T>::Int first_lanes(int64_t count) {
    return load_codes<T>(kLaneWindow<T>.at + Lanes<T>::count - count);
}

// Less than a vector of numbers, followed by zeros. (A copy that is loaded as a whole waits until
// its parts are written.)
template <typename T, typename Element>
inline Vec<T> read_some(const Element* from, int64_t count) {
    constexpr int lanes = Lanes<T>::count;
#if defined(LELKERN_HAS_AVX512)
    if constexpr (std::is_same_v<Element, float> && std::is_same_v<T, float>) {
        return (Vec<T>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
    }
    if constexpr (std::is_same_v<Element, double> && std::is_same_v<T, double>) {
        return (Vec<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1), from);
    }
#elif defined(__x86_64__) && LELKERN_VECTOR_BYTES == 32
    if constexpr (std::is_same_v<Element, float> && std::is_same_v<T, float>) {
        return (Vec<T>)_mm256_maskload_ps(from, (__m256i)first_lanes<T>(count));
    }
    if constexpr (std::is_same_v<Element, double> && std::is_same_v<T, double>) {
        return (Vec<T>)_mm256_maskload_pd(from, (__m256i)first_lanes<T>(count));
    }
#endif
    Element numbers[lanes] = {};
    std::copy_n(from, count, numbers);
    return read<T, Element, lanes>(numbers);
}

// The first numbers of a vector, less than all, rounded.
template <typename T, typename Element>
inline void write_some(Element* to, const Vec<T>& value, int64_t count) {
    constexpr int lanes = Lanes<T>::count;
#if defined(LELKERN_HAS_AVX512)
    if constexpr (std::is_same_v<Element, float> && std::is_same_v<T, float>) {
        const auto first = static_cast<__mmask16>((1u << count) - 1);
        return _mm512_mask_storeu_ps(to, first, (__m512)value);
    }
    if constexpr (std::is_same_v<Element, double> && std::is_same_v<T, double>) {
        const auto first = static_cast<__mmask8>((1u << count) - 1);
        return _mm512_mask_storeu_pd(to, first, (__m512d)value);
    }
#elif defined(__x86_64__) && LELKERN_VECTOR_BYTES == 32
    if constexpr (std::is_same_v<Element, float> && std::is_same_v<T, float>) {
        return _mm256_maskstore_ps(to, (__m256i)first_lanes<T>(count), (__m256)value);
    }
    if constexpr (std::is_same_v<Element, double> && std::is_same_v<T, double>) {
        return _mm256_maskstore_pd(to, (__m256i)first_lanes<T>(count), (__m256d)value);
    }
#endif
    Element numbers[lanes];
    write<T, Element, lanes, false>(numbers, value, nullptr);
    std::copy_n(numbers, count, to);
}

// A vector past the cache, to where it is aligned; elsewhere as any other.
template <typename T>
inline void store_past_cache(T* to, const Vec<T>& value) {
#if defined(LELKERN_HAS_AVX512)
    _mm512_stream_ps(reinterpret_cast<float*>(to), (__m512)value);
#elif defined(__x86_64__) && LELKERN_VECTOR_BYTES == 32
    _mm256_stream_ps(reinterpret_cast<float*>(to), (__m256)value);
#elif defined(__x86_64__)
    _mm_stream_ps(reinterpret_cast<float*>(to), (__m128)value);
#else
    store<T>(to, value);
#endif
}
