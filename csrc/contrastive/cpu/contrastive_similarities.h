// Register tiles of similarities, and what of them is no candidate. Included by foreach_isa.h.

// out (tile_rows, panel_width) = s of rows [i, ...) with columns [j, ...).
template <typename Op>
inline void similarities(const Problem<typename Op::Number>& problem, int64_t i, int64_t j,
                         typename Op::Number* out, int64_t stride) {
    using T = typename Op::Number;
    using Word = typename Op::Word;
    constexpr int64_t width = panel_width<T>, lanes = Lanes<T>::count;
    const Word* a = static_cast<const Word*>(problem.rows.panels) +
                    i / width * width * problem.words + i % width;
    const Word* b = static_cast<const Word*>(problem.columns.panels) + j * problem.words;
    constexpr int64_t depth = kDepth / Op::numbers;
    for (int64_t k = 0; k < problem.words || k == 0; k += depth) {
        const int64_t words = problem.words - k < depth ? problem.words - k : depth;
        const auto multiply = k == 0 ? multiply_vectors<Op, tile_vectors, false, 1, width>
                                     : multiply_vectors<Op, tile_vectors, true, 1, width>;
        multiply(out, stride, a + k * width, b + k * width, width, words);
    }
    if (problem.rows.inverse_norm != nullptr) {
        for (int r = 0; r < tile_rows; ++r) {
            const T row = problem.rows.inverse_norm[i + r];
            for (int64_t c = 0; c < width; c += lanes) {
                T* to = out + r * stride + c;
                store<T>(to, load(to) * row * load(problem.columns.inverse_norm + j + c));
            }
        }
    }
}

// What has to be looked at in a tile besides its similarities.
template <typename T>
struct Special {
    const Problem<T>& problem;
    bool edge, diagonal, positive, ids;

    Special(const Problem<T>& p, int64_t row, int64_t column) : problem(p) {
        const int64_t i = row * p.block, j = column * p.block;
        edge = j + p.block > p.columns.count;
        diagonal = p.self && row == column;
        // Rows of the first half look for columns of the second, and the other way round.
        positive = p.positives == Positives::paired
                       ? meets(i + p.pairs, j) || meets(i - p.pairs, j)
                       : p.positives == Positives::aligned && meets(i, j);
        ids = p.rows.ids != nullptr;
    }

    bool any() const { return edge || diagonal || positive || ids; }

    // Takes out of s (tile_rows, panel_width) of rows [i, ...) with columns [j, ...) what is no
    // candidate, and the positives; f(r, c) is called for each of these before.
    template <typename OnPositive>
    void mask(T* s, int64_t stride, int64_t i, int64_t j, const OnPositive& f) const {
        constexpr int64_t width = panel_width<T>, lanes = Lanes<T>::count;
        constexpr T masked = static_cast<T>(kMasked);
        for (int64_t r = 0; r < tile_rows; ++r) {
            T* row = s + r * stride;
            if (positive) {
                const int64_t c = problem.positive(i + r) - j;
                if (c >= 0 && c < width && i + r < problem.rows.count) {
                    f(r, c);
                    row[c] = masked;
                }
            }
            if (diagonal) {
                const int64_t c = i + r - j;
                if (c >= 0 && c < width) row[c] = masked;
            }
            if (edge) {
                for (int64_t c = std::max<int64_t>(0, problem.columns.count - j); c < width; ++c) {
                    row[c] = masked;
                }
            }
            if (ids) {
                for (int64_t c = 0; c < width; c += lanes) {
                    auto same =
                        load_codes<T>(problem.columns.ids + j + c) == problem.rows.ids[i + r];
                    if (problem.rows.labels != nullptr) {
                        same &= load_codes<T>(problem.columns.labels + j + c) !=
                                problem.rows.labels[i + r];
                    }
                    const Vec<T> value = load(row + c);
                    store<T>(row + c, same ? broadcast(masked) : value);
                }
            }
        }
    }

  private:
    bool meets(int64_t first, int64_t j) const {
        return first < j + problem.block && j < first + problem.block;
    }
};
