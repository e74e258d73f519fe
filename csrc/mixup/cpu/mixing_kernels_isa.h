// The kernels of one instruction set that mix rows, to the bit as lelkern/reference/mixup.py and
// cutmix.py have them. Included by foreach_isa.h once for each, inside its namespace.

#include "shared/cpu/simd_numbers.h"

// n bytes as numbers. Without being told GCC converts them one by one.
template <typename T, int n>
inline typename Several<T, n>::Type read_bytes(const void* from) {
#if defined(LELKERN_HAS_AVX512)
    if constexpr (n == 16) {
        const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i*>(from));
        return (typename Several<T, n>::Type)_mm512_maskz_cvtepi32_ps(
            0xffff, _mm512_maskz_cvtepu8_epi32(0xffff, bytes));
    }
#endif
#if defined(__x86_64__) && LELKERN_VECTOR_BYTES >= 32
    if constexpr (n == 8 && sizeof(T) == 4) {
        const __m128i bytes = _mm_loadl_epi64(static_cast<const __m128i*>(from));
        return (typename Several<T, n>::Type)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
    }
#endif
    return converted<T, n>(converted<int32_t, n>(load_several<uint8_t, n>(from)));
}

template <typename T, typename Element>
inline Vec<T> read_mixed(const Element* from) {
    if constexpr (std::is_same_v<Element, uint8_t>) {
        return read_bytes<T, Lanes<T>::count>(from);
    } else {
        return read<T, Element, Lanes<T>::count>(from);
    }
}

// Less than a vector of a row, followed by zeros.
template <typename T, typename Element>
inline Vec<T> read_some_mixed(const Element* from, int64_t count) {
    if constexpr (std::is_same_v<Element, uint8_t>) {
        uint8_t bytes[Lanes<T>::count] = {};
        std::copy_n(from, count, bytes);
        return read_mixed<T>(bytes);
    } else {
        return read_some<T>(from, count);
    }
}

// The rows at hand and what is computed in: double if one of them is of that type.
template <typename From, typename To>
using Arithmetic =
    std::conditional_t<std::is_same_v<From, double> || std::is_same_v<To, double>, double, float>;

// Calls step(i) for whole vectors of n features, and for what is left last(count).
template <typename T, typename Step, typename Last>
inline void over_vectors(int64_t n, const Step& step, const Last& last) {
    constexpr int lanes = Lanes<T>::count;
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) step(i);
    if (i < n) last(i, n - i);
}

// Scale and offset of features; `Given` says whether there are any.
template <typename T, bool given>
struct Values {
    explicit Values(const FeatureValues& values)
        : scale(static_cast<const T*>(values.scale)),
          offset(static_cast<const T*>(values.offset)),
          one(values.one) {
        if (!given) return;
        first_scale = broadcast<T>(scale == nullptr ? T(1) : scale[0]);
        // x + -0 is x whatever x is.
        first_offset = broadcast<T>(offset == nullptr ? -T(0) : offset[0]);
    }

    Vec<T> scale_at(int64_t i) const {
        return one || scale == nullptr ? first_scale : load<T>(scale + i);
    }
    Vec<T> offset_at(int64_t i) const {
        return one || offset == nullptr ? first_offset : load<T>(offset + i);
    }

    Vec<T> rescaled(Vec<T> x, int64_t i) const {
        if (!given) return x;
        x = x * scale_at(i);
        round_here(x);
        return x + offset_at(i);
    }
    Vec<T> scaled(const Vec<T>& x, int64_t i) const { return given ? x * scale_at(i) : x; }

    const T *scale, *offset;
    bool one;
    Vec<T> first_scale, first_offset;
};

template <typename T>
inline Vec<T> weighted(Vec<T> a, Vec<T> b, const Vec<T>& own, const Vec<T>& partner) {
    a = own * a;
    round_here(a);
    b = partner * b;
    round_here(b);
    return a + b;
}

template <typename From, typename To, bool given, bool backward, bool past_cache>
__attribute__((noinline)) void mix_as(const From* own, const From* partner, const From* next,
                                      To* to, int64_t n, double own_weight, double partner_weight,
                                      const FeatureValues& features) {
    using T = Arithmetic<From, To>;
    constexpr int lanes = Lanes<T>::count;
    const Values<T, given> values(features);
    const Vec<T> first = broadcast<T>(static_cast<T>(own_weight));
    const Vec<T> second = broadcast<T>(static_cast<T>(partner_weight));
    const auto mixed = [&](const Vec<T>& x, const Vec<T>& y, int64_t i) {
        if constexpr (backward) {
            return values.scaled(weighted<T>(x, y, first, second), i);
        } else {
            return weighted<T>(values.rescaled(x, i), values.rescaled(y, i), first, second);
        }
    };
    over_vectors<T>(
        n,
        [&](int64_t i) {
            __builtin_prefetch(next + i, 0, 2);  // to the second cache: the first is in use
            const Vec<T> mix = mixed(read_mixed<T>(own + i), read_mixed<T>(partner + i), i);
            if constexpr (past_cache) {
                store_past_cache<T>(to + i, mix);
            } else {
                write<T, To, lanes, false>(to + i, mix, nullptr);
            }
        },
        [&](int64_t i, int64_t count) {
            const Vec<T> x = read_some_mixed<T>(own + i, count);
            const Vec<T> y = read_some_mixed<T>(partner + i, count);
            write_some<T>(to + i, mixed(x, y, i), count);
        });
}

// Past the cache if that is asked for and possible.
template <typename From, typename To, bool given, bool backward>
void mix_features(const void* own, const void* partner, void* to, int64_t n, double own_weight,
                  double partner_weight, const FeatureValues& values, const Traffic& traffic) {
    using T = Arithmetic<From, To>;
    auto kernel = mix_as<From, To, given, backward, false>;
    if constexpr (std::is_same_v<To, T>) {
        const bool aligned = reinterpret_cast<uintptr_t>(to) % sizeof(Vec<T>) == 0;
        if (traffic.past_cache && aligned) kernel = mix_as<From, To, given, backward, true>;
    }
    // What fits into the cache is there as soon without being fetched ahead, which delays what is
    // read now (256 images of 12 KiB: by a fifth).
    const void* const next = traffic.past_cache ? traffic.next : own;
    kernel(static_cast<const From*>(own), static_cast<const From*>(partner),
           static_cast<const From*>(next), static_cast<To*>(to), n, own_weight, partner_weight,
           values);
}

template <typename From, typename To, bool given>
__attribute__((noinline)) void rescale_as(const From* own, To* to, int64_t n,
                                          const FeatureValues& features) {
    using T = Arithmetic<From, To>;
    constexpr int lanes = Lanes<T>::count;
    const Values<T, given> values(features);
    over_vectors<T>(
        n,
        [&](int64_t i) {
            const Vec<T> x = values.rescaled(read_mixed<T>(own + i), i);
            write<T, To, lanes, false>(to + i, x, nullptr);
        },
        [&](int64_t i, int64_t count) {
            write_some<T>(to + i, values.rescaled(read_some_mixed<T>(own + i, count), i), count);
        });
}

template <typename From, typename To, bool given>
__attribute__((noinline)) double dot_as(const To* grad, const From* own, const From* partner,
                                        int64_t n, const FeatureValues& features) {
    using T = Arithmetic<From, To>;
    const Values<T, given> values(features);
    Vec<T> sum{};
    const auto term = [&](const Vec<T>& g, const Vec<T>& x, const Vec<T>& y, int64_t i) {
        return g * (values.rescaled(x, i) - values.rescaled(y, i));
    };
    over_vectors<T>(
        n,
        [&](int64_t i) {
            sum += term(read_mixed<T>(grad + i), read_mixed<T>(own + i), read_mixed<T>(partner + i),
                        i);
        },
        [&](int64_t i, int64_t count) {
            const Vec<T> g = read_some_mixed<T>(grad + i, count);
            const Vec<T> x = read_some_mixed<T>(own + i, count);
            const Vec<T> y = read_some_mixed<T>(partner + i, count);
            sum += first_lanes<T>(count) ? term(g, x, y, i) : Vec<T>{};
        });
    return static_cast<double>(sum_of_lanes<T>(sum));
}

template <typename Element, bool given>
__attribute__((noinline)) void add_as(const Element* own, const Element* partner, Element* to,
                                      int64_t n, const FeatureValues& features) {
    using T = Arithmetic<Element, Element>;
    constexpr int lanes = Lanes<T>::count;
    const Values<T, given> values(features);
    over_vectors<T>(
        n,
        [&](int64_t i) {
            const Vec<T> x = own == nullptr ? Vec<T>{} : read_mixed<T>(own + i);
            const Vec<T> y = partner == nullptr ? Vec<T>{} : read_mixed<T>(partner + i);
            write<T, Element, lanes, false>(to + i, values.scaled(x + y, i), nullptr);
        },
        [&](int64_t i, int64_t count) {
            const Vec<T> x = own == nullptr ? Vec<T>{} : read_some_mixed<T>(own + i, count);
            const Vec<T> y = partner == nullptr ? Vec<T>{} : read_some_mixed<T>(partner + i, count);
            write_some<T>(to + i, values.scaled(x + y, i), count);
        });
}

inline bool any(const FeatureValues& values) {
    return values.scale != nullptr || values.offset != nullptr;
}

template <typename From, typename To>
void mix(const void* own, const void* partner, void* to, int64_t n, double own_weight,
         double partner_weight, const FeatureValues& values, const Traffic& traffic) {
    const auto kernel =
        any(values) ? mix_features<From, To, true, false> : mix_features<From, To, false, false>;
    kernel(own, partner, to, n, own_weight, partner_weight, values, traffic);
}

template <typename From, typename To>
void rescale(const void* own, void* to, int64_t n, const FeatureValues& values) {
    const auto kernel = any(values) ? rescale_as<From, To, true> : rescale_as<From, To, false>;
    kernel(static_cast<const From*>(own), static_cast<To*>(to), n, values);
}

template <typename From, typename To>
double dot(const void* grad, const void* own, const void* partner, int64_t n,
           const FeatureValues& values) {
    const auto kernel = any(values) ? dot_as<From, To, true> : dot_as<From, To, false>;
    return kernel(static_cast<const To*>(grad), static_cast<const From*>(own),
                  static_cast<const From*>(partner), n, values);
}

template <typename Element>
void mix_back(const void* own, const void* partner, void* to, int64_t n, double own_weight,
              double partner_weight, const FeatureValues& values, const Traffic& traffic) {
    const auto kernel = values.scale != nullptr ? mix_features<Element, Element, true, true>
                                                : mix_features<Element, Element, false, true>;
    kernel(own, partner, to, n, own_weight, partner_weight, values, traffic);
}

template <typename Element>
void add_back(const void* own, const void* partner, void* to, int64_t n,
              const FeatureValues& values) {
    const auto kernel = values.scale != nullptr ? add_as<Element, true> : add_as<Element, false>;
    kernel(static_cast<const Element*>(own), static_cast<const Element*>(partner),
           static_cast<Element*>(to), n, values);
}

template <typename Element>
constexpr MixingKernels from_floating() {
    return {mix<Element, Element>, rescale<Element, Element>, dot<Element, Element>,
            mix_back<Element>, add_back<Element>};
}

template <typename Element>
constexpr MixingKernels from_bytes() {
    return {mix<uint8_t, Element>, rescale<uint8_t, Element>, dot<uint8_t, Element>, nullptr,
            nullptr};
}

// To double, float, float16 and bfloat16, from the same and from bytes.
constexpr MixingKernels kMixingKernels[2][4] = {
    {from_floating<double>(), from_floating<float>(), from_floating<c10::Half>(),
     from_floating<c10::BFloat16>()},
    {from_bytes<double>(), from_bytes<float>(), from_bytes<c10::Half>(),
     from_bytes<c10::BFloat16>()}};
