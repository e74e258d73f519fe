// Tiles of decisions: each pair of a row and a column is positive or not, whatever the others are,
// as in SigLIP. Included by foreach_isa.h.

// log(1 + e) for 0 <= e <= 1, to a few units in the last place however small e is.
template <typename T>
inline Vec<T> log1p_of_fraction(const Vec<T>& e) {
    // 2 atanh(s), of whose series in s <= 1/3 less than a unit in the last place is left out.
    constexpr int degree = sizeof(T) == sizeof(float) ? 7 : 16;
    const Vec<T> s = e / (e + T(2)), square = s * s;
    Vec<T> series = broadcast<T>(T(1) / (2 * degree + 1));
#pragma GCC unroll 16
    for (int k = degree - 1; k > 0; --k) series = series * square + T(1) / (2 * k + 1);
    return T(2) * (s + s * square * series);
}

template <typename T>
struct Decision {
    Vec<T> loss, slope;  // the slope: the derivative of the loss by the logit
};

// Where the pair is positive the loss is log(1 + exp(-x)), and elsewhere log(1 + exp(x)).
template <typename T>
inline Decision<T> decide(const Vec<T>& x, const typename Lanes<T>::Int& positive) {
    constexpr T log2_e = static_cast<T>(1.4426950408889634);
    const Vec<T> zero = {}, against = positive ? -x : x;
    const Vec<T> size = against < zero ? -against : against;
    const Vec<T> e = exp2<T>(size * -log2_e);  // at most 1, whatever the logit is
    const Vec<T> larger_share = T(1) / (T(1) + e);
    const Vec<T> sigmoid = against < zero ? e * larger_share : larger_share;
    const Vec<T> linear = against > zero ? against : zero;
    return {linear + log1p_of_fraction<T>(e), positive ? -sigmoid : sigmoid};
}

// first, first + 1, ...
template <typename T>
inline typename Lanes<T>::Int numbers_from(int64_t first) {
    typename Lanes<T>::Int numbers;
    for (int k = 0; k < Lanes<T>::count; ++k) numbers[k] = static_cast<Code<T>>(first + k);
    return numbers;
}

// The decisions on row i and the columns from j on, whose similarities are s. `special`: pairs (i,
// i), or columns that there are not, may be among them.
template <typename T, bool labels, bool special>
inline Decision<T> decide_on(const Problem<T>& problem, const Logits<T>& logits, int64_t i,
                             int64_t j, const Vec<T>& s) {
    typename Lanes<T>::Int positive = {};
    if (labels) {
        positive = load_codes<T>(problem.columns.labels + j) == problem.rows.labels[i];
    } else if (special) {
        positive = numbers_from<T>(j) == static_cast<Code<T>>(i);
    }
    Decision<T> found = decide<T>(s * logits.scale + logits.bias, positive);
    if (special) {
        const Vec<T> zero = {};
        const auto exists = numbers_from<T>(j) < static_cast<Code<T>>(problem.columns.count);
        found = {exists ? found.loss : zero, exists ? found.slope : zero};
    }
    return found;
}

// Calls f(labels, special) with what decide_on has to know of a tile, as constants.
template <typename T, typename F>
inline void with_decisions(const Problem<T>& problem, int64_t row, int64_t column, const F& f) {
    const bool special = Special<T>(problem, row, column).any();
    const auto choose = [&](auto labels) {
        special ? f(labels, std::true_type()) : f(labels, std::false_type());
    };
    problem.positives == Positives::labelled ? choose(std::true_type()) : choose(std::false_type());
}

// Of each row of a tile `lanes` sums: losses, slopes, and slopes times similarities.
constexpr int kDecisionFields = 3;
template <typename T>
constexpr int64_t decision_scratch =
    tile_rows * panel_width<T> + kDecisionFields * kMaxBlock * Lanes<T>::count;

template <typename Op>
void forward_decisions(const Problem<typename Op::Number>& problem,
                       const Logits<typename Op::Number>& logits, int64_t row, int64_t column,
                       const DecisionSums& sums, typename Op::Number* scratch,
                       typename Op::Number* kept) {
    using T = typename Op::Number;
    constexpr int64_t lanes = Lanes<T>::count, width = panel_width<T>;
    const int64_t i0 = row * problem.block, j0 = column * problem.block;
    const int64_t rows = std::min(problem.block, problem.rows.count - i0);
    const int64_t columns = std::min(problem.block, problem.columns.count - j0);
    T* const s = scratch;  // (tile_rows, width)
    T* const tile_sums = s + tile_rows * width;
    std::fill_n(tile_sums, kDecisionFields * rows * lanes, T(0));
    with_decisions(problem, row, column, [&](auto labels, auto special) {
        for (int64_t j = 0; j < columns; j += width) {
            for (int64_t i = 0; i < rows; i += tile_rows) {
                similarities<Op>(problem, i0 + i, j0 + j, s, width);
                for (int64_t r = 0; r < std::min<int64_t>(tile_rows, rows - i); ++r) {
                    T* const at = tile_sums + kDecisionFields * (i + r) * lanes;
                    Vec<T> loss = load(at), by_bias = load(at + lanes);
                    Vec<T> by_scale = load(at + 2 * lanes);
                    for (int64_t c = 0; c < width; c += lanes) {
                        const Vec<T> value = load(s + r * width + c);
                        const auto found = decide_on<T, labels.value, special.value>(
                            problem, logits, i0 + i + r, j0 + j + c, value);
                        loss += found.loss;
                        by_bias += found.slope;
                        by_scale += found.slope * value;
                        if (kept != nullptr) store<T>(kept + r * width + c, found.slope);
                    }
                    store<T>(at, loss);
                    store<T>(at + lanes, by_bias);
                    store<T>(at + 2 * lanes, by_scale);
                }
                if (kept != nullptr) kept += tile_rows * width;
            }
        }
    });
    for (int64_t r = 0; r < rows; ++r) {
        const T* const at = tile_sums + kDecisionFields * r * lanes;
        double* const to[kDecisionFields] = {sums.loss, sums.by_bias, sums.by_scale};
        for (int field = 0; field < kDecisionFields; ++field) {
            for (int64_t k = 0; k < lanes; ++k) to[field][i0 + r] += at[field * lanes + k];
        }
    }
}

template <typename Op>
void backward_decisions(const Problem<typename Op::Number>& problem,
                        const Logits<typename Op::Number>& logits, int64_t row, int64_t column,
                        const typename Op::Number* upstream, typename Op::Number* row_out,
                        typename Op::Number* column_out, typename Op::Number* scratch,
                        const typename Op::Number* kept) {
    using T = typename Op::Number;
    using Word = typename Op::Word;
    constexpr int64_t lanes = Lanes<T>::count, width = panel_width<T>;
    constexpr int64_t stride = Gradient<Op>::tile_stride;
    const int64_t i0 = row * problem.block, j0 = column * problem.block;
    const int64_t rows = std::min(problem.block, problem.rows.count - i0);
    const int64_t columns = std::min(problem.block, problem.columns.count - j0);
    const Gradient<Op> gradient(scratch);
    with_decisions(problem, row, column, [&](auto labels, auto special) {
        for (int64_t j = 0; j < columns; j += width) {
            for (int64_t i = 0; i < rows; i += tile_rows) {
                const int64_t count = std::min<int64_t>(tile_rows, rows - i);
                T* const g = gradient.tile(i, j);
                if (kept == nullptr) similarities<Op>(problem, i0 + i, j0 + j, g, stride);
                for (int64_t r = 0; r < count; ++r) {
                    const T factor = upstream[i0 + i + r];
                    for (int64_t c = 0; c < width; c += lanes) {
                        T* const to = g + r * stride + c;
                        const Vec<T> slope =
                            kept != nullptr ? load(kept + r * width + c)
                                            : decide_on<T, labels.value, special.value>(
                                                  problem, logits, i0 + i + r, j0 + j + c, load(to))
                                                  .slope;
                        store<T>(to, slope * factor);
                    }
                }
                for (int64_t r = count; r < tile_rows; ++r) {
                    std::fill_n(g + r * stride, width, T(0));
                }
                if (kept != nullptr) kept += tile_rows * width;
                gradient.put(problem, i0, j0, i, j);
            }
        }
    });
    constexpr int numbers = Op::numbers;
    const auto words = [](int64_t count) { return (count + numbers - 1) / numbers; };
    const auto words_of = [&](const Side<T>& side, int64_t first) {
        return static_cast<const Word*>(side.rows) + first / numbers * problem.stride;
    };
    multiply_into<Op, Gradient<Op>::row_stride, 1>(row_out, problem.stride, rows, problem.padded_D,
                                                   gradient.by_rows, words_of(problem.columns, j0),
                                                   problem.stride, words(columns));
    if (column_out != nullptr) {
        multiply_into<Op, 1, kTileStride>(column_out, problem.stride, columns, problem.padded_D,
                                          gradient.by_columns, words_of(problem.rows, i0),
                                          problem.stride, words(rows));
    }
}
