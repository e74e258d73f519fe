// Philox of as many counters at a time as a vector has words of 64 bits: shared/common/philox.h,
// which whoever includes this includes. Included by foreach_isa.h's headers, inside the namespace
// of an instruction set.

using PhiloxVector = Lanes<double>::Bits;  // words of 32 bits, with anything in the 32 bits above

struct PhiloxVectors {
    PhiloxVector at[4];
};

// The products of the low halves.
inline PhiloxVector product_of_words(const PhiloxVector& words, uint32_t by) {
#if defined(LELKERN_HAS_AVX512)
    return (PhiloxVector)_mm512_maskz_mul_epu32(0xff, (__m512i)words, _mm512_set1_epi64(by));
#elif defined(__x86_64__) && LELKERN_VECTOR_BYTES == 32
    return (PhiloxVector)_mm256_mul_epu32((__m256i)words, _mm256_set1_epi64x(by));
#elif defined(__x86_64__)
    return (PhiloxVector)_mm_mul_epu32((__m128i)words, _mm_set1_epi64x(by));
#else
    return (words & 0xffffffff) * by;
#endif
}

inline PhiloxVectors philox_of(const PhiloxVectors& counters, uint64_t seed) {
    PhiloxVector a = counters.at[0], b = counters.at[1], c = counters.at[2], d = counters.at[3];
    uint32_t first = static_cast<uint32_t>(seed), second = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < kPhiloxRounds; ++round) {
        const PhiloxVector of_a = product_of_words(a, kPhiloxMultiplier0);
        const PhiloxVector of_c = product_of_words(c, kPhiloxMultiplier2);
        a = (of_c >> 32) ^ b ^ first;
        b = of_c;
        c = (of_a >> 32) ^ d ^ second;
        d = of_a;
        first += kPhiloxKeyStep0;
        second += kPhiloxKeyStep1;
    }
    return {{a, b, c, d}};
}
