// Matrix products over the register tile of one instruction set. Included by foreach_isa.h.
//
// Operands consist of words: a number, or for bfloat16 a pair of numbers that the processor
// multiplies and adds at once.

template <typename T>
struct Plain {
    using Number = T;  // what is summed, and what tiles hold
    using Word = T;
    static constexpr int numbers = 1;  // in a word
    static constexpr bool is_bf16 = false;

    static Vec<T> load_words(const Word* from) { return load(from); }
    static Vec<T> multiply_add(const Vec<T>& sum, Word a, const Vec<T>& b) { return sum + a * b; }
};

#if defined(LELKERN_HAS_BF16)
struct BFloat16Pairs {
    using Number = float;
    using Word = uint32_t;
    static constexpr int numbers = 2;
    static constexpr bool is_bf16 = true;

    static __m512i load_words(const Word* from) { return _mm512_loadu_si512(from); }
    static Vec<float> multiply_add(const Vec<float>& sum, Word a, const __m512i& b) {
        const __m512i pair = _mm512_set1_epi32(static_cast<int>(a));
        return (Vec<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)pair, (__m512bh)b);
    }
};
#endif

// The register tile: as many sums as the registers hold besides the operands. The rows divide the
// lanes of the vectors together, since both operands of a product of rows with rows are packed
// alike. x86-64 guarantees 16 registers of 16 bytes, AVX2 has 16 of 32, AVX-512 32 of 64, and
// 64-bit Arm 32 of 16.
#if LELKERN_VECTOR_BYTES == 64
constexpr int tile_rows = 8, tile_vectors = 3;
#elif LELKERN_VECTOR_BYTES == 32
constexpr int tile_rows = 4, tile_vectors = 3;
#elif defined(__aarch64__)
constexpr int tile_rows = 4, tile_vectors = 4;
#else
constexpr int tile_rows = 4, tile_vectors = 2;
#endif

template <typename T>
constexpr int panel_width = tile_vectors * Lanes<T>::count;

// out[r * stride + c] (+)= sum_k a[r * a_row + k * a_word] b[k * b_word + c] for 0 <= k < words,
// tile_rows rows r and so many vectors of columns c.
//
// A function of its own, so that nothing around it takes registers from the sums.
template <typename Op, int vectors, bool add, int64_t a_row, int64_t a_word>
__attribute__((noinline)) void multiply_vectors(typename Op::Number* out, int64_t stride,
                                                const typename Op::Word* a,
                                                const typename Op::Word* b, int64_t b_word,
                                                int64_t words) {
    using T = typename Op::Number;
    constexpr int lanes = Lanes<T>::count;
    Vec<T> sums[tile_rows][vectors] = {};
    for (int64_t k = 0; k < words; ++k) {
        decltype(Op::load_words(b)) column[vectors];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) column[v] = Op::load_words(b + v * lanes);
#pragma GCC unroll 8
        for (int r = 0; r < tile_rows; ++r) {
            const typename Op::Word factor = a[r * a_row];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) {
                sums[r][v] = Op::multiply_add(sums[r][v], factor, column[v]);
            }
        }
        a += a_word;
        b += b_word;
    }
#pragma GCC unroll 8
    for (int r = 0; r < tile_rows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
            T* to = out + r * stride + v * lanes;
            store<T>(to, add ? load(to) + sums[r][v] : sums[r][v]);
        }
    }
}

// out[i * stride + c] += sum_k a[i * a_row + k * a_word] b[k * b_word + c] for `rows` rows, rounded
// up to tile_rows, and `columns` columns, a multiple of the lanes.
template <typename Op, int64_t a_row, int64_t a_word, int vectors = tile_vectors>
void multiply_into(typename Op::Number* out, int64_t stride, int64_t rows, int64_t columns,
                   const typename Op::Word* a, const typename Op::Word* b, int64_t b_word,
                   int64_t words) {
    constexpr int width = vectors * Lanes<typename Op::Number>::count;
    int64_t c = 0;
    for (; c + width <= columns; c += width) {
        for (int64_t i = 0; i < rows; i += tile_rows) {
            multiply_vectors<Op, vectors, true, a_row, a_word>(out + i * stride + c, stride,
                                                               a + i * a_row, b + c, b_word, words);
        }
    }
    if constexpr (vectors > 1) {
        if (c < columns) {
            multiply_into<Op, a_row, a_word, vectors - 1>(out + c, stride, rows, columns - c, a,
                                                          b + c, b_word, words);
        }
    }
}
