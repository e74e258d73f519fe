// One tile of the gradient with respect to the similarities, and its two products with the rows.
// Included by foreach_isa.h.

// Turns similarities (or, if kept and not wide, their exponentials) into G, in place: count rows of
// panel_width from (i, j) on.
template <typename T, bool wide, bool exponentials>
inline void weigh(const Problem<T>& problem, const Weights<T>& rows, const Weights<T>& columns,
                  bool serves_columns, const T* from, int64_t from_stride, int64_t i, int64_t j,
                  T* out, int64_t stride) {
    constexpr int lanes = Lanes<T>::count, width = panel_width<T>;
    const bool labels = problem.positives == Positives::labelled;
    const T* row_factors = wide ? rows.upstream : rows.unshifted;
    const T* column_factors = wide ? columns.upstream : columns.unshifted;
    for (int r = 0; r < tile_rows; ++r) {
#pragma GCC unroll 4
        for (int c = 0; c < width; c += lanes) {
            const Vec<T> value = load(from + r * from_stride + c);
            Vec<T> row_factor = broadcast(row_factors[i + r]), share = {};
            Vec<T> column_factor = load(column_factors + j + c);
            if (labels) {
                const auto chosen =
                    load_codes<T>(problem.columns.labels + j + c) == problem.rows.labels[i + r];
                const Vec<T> both = rows.share[i + r] + load(columns.share + j + c);
                row_factor = chosen ? broadcast(rows.for_positives[i + r]) : row_factor;
                column_factor = chosen ? load(columns.for_positives + j + c) : column_factor;
                share = chosen ? both : share;
            }
            Vec<T> g;
            if (wide) {
                g = row_factor *
                    exp2<T>((value - rows.peak[i + r]) * problem.scale - rows.rest[i + r]);
                if (serves_columns) {
                    g += column_factor *
                         exp2<T>((value - load(columns.peak + j + c)) * problem.scale -
                                 load(columns.rest + j + c));
                }
            } else {
                const Vec<T> exponential = exponentials ? value : exp2<T>(value * problem.scale);
                g = exponential * (row_factor + column_factor);
            }
            if (labels) g -= share;
            store<T>(out + r * stride + c, g);
        }
    }
}

// G as the words of the left operands of both products: row after row for the one, and for the
// other, where a word holds numbers of neighbouring rows, as it is read down the columns.
template <typename Op>
struct Gradient;

template <typename T>
struct Gradient<Plain<T>> {
    static constexpr int64_t row_stride = kTileStride;
    static constexpr int64_t size = kMaxBlock * row_stride;
    T* by_rows;
    T* by_columns;

    explicit Gradient(T* memory) : by_rows(memory), by_columns(memory) {}

    // Where the register tile at (i, j) of the tile is made.
    T* tile(int64_t i, int64_t j) const { return by_rows + i * row_stride + j; }
    static constexpr int64_t tile_stride = row_stride;
    void put(const Problem<T>&, int64_t, int64_t, int64_t, int64_t) const {}
};

#if defined(LELKERN_HAS_BF16)
template <>
struct Gradient<BFloat16Pairs> {
    static constexpr int64_t row_stride = kTileStride / 2;
    static constexpr int64_t tile_stride = panel_width<float>;
    static constexpr int64_t words = kMaxBlock * row_stride;
    static constexpr int64_t size = 2 * words + tile_rows * tile_stride;
    uint32_t* by_rows;
    uint32_t* by_columns;
    float* registers;

    explicit Gradient(float* memory)
        : by_rows(reinterpret_cast<uint32_t*>(memory)),
          by_columns(by_rows + words),
          registers(memory + 2 * words) {}

    float* tile(int64_t, int64_t) const { return registers; }

    // Rounds the register tile at (i, j) of the tile at (i0, j0), with the norm of the row that it
    // is going to be multiplied by.
    void put(const Problem<float>& problem, int64_t i0, int64_t j0, int64_t i, int64_t j) const {
        const float* row_norm = problem.rows.inverse_norm + i0 + i;
        const float* column_norm = problem.columns.inverse_norm + j0 + j;
        for (int r = 0; r < tile_rows; r += 2) {
            for (int c = 0; c < tile_stride; c += Lanes<float>::count) {
                const Vec<float> norm = load(column_norm + c);
                const Vec<float> first = load(registers + r * tile_stride + c);
                const Vec<float> second = load(registers + (r + 1) * tile_stride + c);
                uint32_t* row = by_rows + (i + r) * row_stride + (j + c) / 2;
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(row), round(first * norm));
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + row_stride),
                                    round(second * norm));
                const auto low = widen(round(first * row_norm[r]));
                const auto high = widen(round(second * row_norm[r + 1]));
                _mm512_storeu_si512(by_columns + (i + r) / 2 * kTileStride + j + c,
                                    (__m512i)(low | high << 16));
            }
        }
    }

    static __m256i round(const Vec<float>& value) {
        return (__m256i)_mm512_cvtneps_pbh((__m512)value);
    }

    static Lanes<float>::Bits widen(__m256i bits) {
        typedef uint16_t Halves __attribute__((vector_size(32)));
        return __builtin_convertvector((Halves)bits, Lanes<float>::Bits);
    }
};
#endif

// Brings `bytes` from `from` on into the L2 cache, a share at a time.
class Prefetch {
  public:
    Prefetch(const void* from, int64_t bytes, int64_t shares)
        : at_(static_cast<const char*>(from)), share_((bytes + shares - 1) / shares) {}

    void next() {
        for (const char* end = at_ + share_; at_ < end; at_ += 64) __builtin_prefetch(at_, 0, 2);
    }

  private:
    const char* at_;
    int64_t share_;
};

template <typename Op, bool wide>
void backward_tile_of(const Problem<typename Op::Number>& problem, int64_t row, int64_t column,
                      const Weights<typename Op::Number>& row_weights,
                      const Weights<typename Op::Number>& column_weights,
                      typename Op::Number* row_out, typename Op::Number* column_out,
                      typename Op::Number* scratch, const typename Op::Number* kept) {
    using T = typename Op::Number;
    using Word = typename Op::Word;
    constexpr int64_t width = panel_width<T>;
    const int64_t i0 = row * problem.block, j0 = column * problem.block;
    const int64_t rows = std::min(problem.block, problem.rows.count - i0);
    const int64_t columns = std::min(problem.block, problem.columns.count - j0);
    const bool serves_columns = problem.both || problem.self;
    const Special<T> special(problem, row, column);
    const Gradient<Op> gradient(scratch);
    constexpr int numbers = Op::numbers;
    const auto words = [](int64_t count) { return (count + numbers - 1) / numbers; };
    const auto* row_words =
        static_cast<const Word*>(problem.rows.rows) + i0 / numbers * problem.stride;
    const auto* column_words =
        static_cast<const Word*>(problem.columns.rows) + j0 / numbers * problem.stride;

    const int64_t steps = (columns + width - 1) / width * ((rows + tile_rows - 1) / tile_rows);
    const int64_t size = problem.stride * sizeof(T);
    Prefetch ahead[] = {{row_words, words(rows) * size, steps},
                        {column_words, words(columns) * size, steps},
                        {row_out, rows * size, steps},
                        {column_out, column_out ? columns * size : 0, steps}};
    for (int64_t j = 0; j < columns; j += width) {
        for (int64_t i = 0; i < rows; i += tile_rows) {
            const int64_t at_i = i0 + i, at_j = j0 + j;
            for (Prefetch& part : ahead) part.next();
            T* g = gradient.tile(i, j);
            constexpr int64_t stride = Gradient<Op>::tile_stride;
            const T* from = g;
            int64_t from_stride = stride;
            if (kept != nullptr) {
                from = kept;
                from_stride = width;
                kept += tile_rows * width;
            } else {
                similarities<Op>(problem, at_i, at_j, g, stride);
                if (special.any()) special.mask(g, stride, at_i, at_j, [](int64_t, int64_t) {});
            }
            if (from != g && !wide) {
                weigh<T, wide, true>(problem, row_weights, column_weights, serves_columns, from,
                                     from_stride, at_i, at_j, g, stride);
            } else {
                weigh<T, wide, false>(problem, row_weights, column_weights, serves_columns, from,
                                      from_stride, at_i, at_j, g, stride);
            }
            if (special.positive) {
                for (int64_t r = 0; r < tile_rows; ++r) {
                    const int64_t c = problem.positive(at_i + r) - at_j;
                    if (c < 0 || c >= width || at_i + r >= problem.rows.count) continue;
                    T missing = row_weights.missing[at_i + r];
                    if (serves_columns) missing += column_weights.missing[at_j + c];
                    g[r * stride + c] = -missing;
                }
            }
            if (special.diagonal) {
                for (int64_t r = 0; r < tile_rows; ++r) {
                    const int64_t c = at_i + r - at_j;
                    if (c >= 0 && c < width) g[r * stride + c] = 0;
                }
            }
            for (int64_t r = rows - i; r < tile_rows; ++r) std::fill_n(g + r * stride, width, T(0));
            gradient.put(problem, i0, j0, i, j);
        }
    }
    multiply_into<Op, Gradient<Op>::row_stride, 1>(row_out, problem.stride, rows, problem.padded_D,
                                                   gradient.by_rows, column_words, problem.stride,
                                                   words(columns));
    if (column_out != nullptr) {
        multiply_into<Op, 1, kTileStride>(column_out, problem.stride, columns, problem.padded_D,
                                          gradient.by_columns, row_words, problem.stride,
                                          words(rows));
    }
}

template <typename Op>
void backward_tile(const Problem<typename Op::Number>& problem, int64_t row, int64_t column,
                   const Weights<typename Op::Number>& row_weights,
                   const Weights<typename Op::Number>& column_weights, typename Op::Number* rows,
                   typename Op::Number* columns, typename Op::Number* scratch,
                   const typename Op::Number* kept) {
    const auto tile = problem.wide ? backward_tile_of<Op, true> : backward_tile_of<Op, false>;
    tile(problem, row, column, row_weights, column_weights, rows, columns, scratch, kept);
}
