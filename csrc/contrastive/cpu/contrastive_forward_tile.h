// The sums of exponentials of one tile of similarities. Included by foreach_isa.h.

// What one tile adds to the sums of a side: `lanes` values a row for rows, one for columns.
template <typename T>
struct TileSums {
    T *sum, *sum_rest, *peak, *dot, *best_negative, *best_positive;
    T *positives, *positives_rest, *positive_sum, *positive_sum_rest;
    // (A rest is what rounding left of a sum.)

    static constexpr int fields = 10;

    TileSums(T* memory, int64_t size)
        : sum(memory),
          sum_rest(sum + size),
          peak(sum_rest + size),
          dot(peak + size),
          best_negative(dot + size),
          best_positive(best_negative + size),
          positives(best_positive + size),
          positives_rest(positives + size),
          positive_sum(positives_rest + size),
          positive_sum_rest(positive_sum + size) {}

    void clear(int64_t size, const Problem<T>& problem) const {
        constexpr T lowest = static_cast<T>(kLowest);
        std::fill_n(sum, size, T(0));
        std::fill_n(sum_rest, size, T(0));
        if (problem.wide) std::fill_n(peak, size, lowest);
        if (problem.positives == Positives::labelled) {
            for (T* zero : {positives, positives_rest, positive_sum, positive_sum_rest}) {
                std::fill_n(zero, size, T(0));
            }
        }
        if (problem.stats) {
            std::fill_n(dot, size, T(0));
            std::fill_n(best_negative, size, lowest);
            std::fill_n(best_positive, size, lowest);
        }
    }

    TileSums from(int64_t at) const {
        TileSums moved = *this;
        for (T** field : {&moved.sum, &moved.sum_rest, &moved.peak, &moved.dot,
                          &moved.best_negative, &moved.best_positive, &moved.positives,
                          &moved.positives_rest, &moved.positive_sum, &moved.positive_sum_rest}) {
            *field += at;
        }
        return moved;
    }
};

// sum + rest += value, where what rounding leaves of the sum goes to the rest (Knuth's two-sum).
// Hundreds of nearly equal numbers would else all be rounded in the same direction.
template <typename T>
inline void add_exactly(T* sum, T* rest, const Vec<T>& value) {
    const Vec<T> before = load(sum), after = before + value, added = after - before;
    store<T>(sum, after);
    store<T>(rest, load(rest) + ((before - (after - added)) + (value - added)));
}

template <typename T>
inline void keep_larger(T* at, const Vec<T>& value) {
    store<T>(at, larger<T>(load(at), value));
}

// Which candidates of row r, at columns [c, c + lanes), are positives by label.
template <typename T>
inline typename Lanes<T>::Int by_label(const Problem<T>& problem, int64_t row, int64_t column,
                                       const Vec<T>& s) {
    return (load_codes<T>(problem.columns.labels + column) == problem.rows.labels[row]) &
           ~(s < static_cast<T>(kLowest));
}

// Adds the register tile s (count rows, panel_width) from (i, j) on to the sums of its rows and
// columns. `keep`: where the exponentials, or s if wide, are left, unless null.
template <typename T, bool wide, bool stats, bool labels>
inline void sum_exponentials(const Problem<T>& problem, const T* s, int64_t count, int64_t i,
                             int64_t j, const TileSums<T>& rows, const TileSums<T>& columns,
                             T* keep) {
    constexpr int vectors = tile_vectors, lanes = Lanes<T>::count;
    constexpr int width = panel_width<T>;
    const T scale = problem.scale;
    const Vec<T> masked = broadcast(static_cast<T>(kMasked));
    Vec<T> sums[vectors], positive_sums[vectors], dots[vectors], peaks[vectors];
    Vec<T> best_negatives[vectors], best_positives[vectors];
    for (int v = 0; v < vectors; ++v) {
        const int at = v * lanes;
        sums[v] = positive_sums[v] = dots[v] = Vec<T>{};
        best_negatives[v] = best_positives[v] = masked;
        if (!wide) continue;
        const Vec<T> before = load(columns.peak + at);
        peaks[v] = before;
        for (int64_t r = 0; r < count; ++r) {
            peaks[v] = larger<T>(peaks[v], load(s + r * width + at));
        }
        const Vec<T> shift = before - peaks[v], shrink = exp2<T>(shift * scale);
        Vec<T> dot = {};
        if (stats) dot = load(columns.dot + at) * shrink;
        const auto shrink_sum = [&](T* sum, T* rest) {
            if (stats) dot += shift * load(sum) * shrink;
            store<T>(sum, load(sum) * shrink);
            store<T>(rest, load(rest) * shrink);
        };
        shrink_sum(columns.sum + at, columns.sum_rest + at);
        if (labels) shrink_sum(columns.positive_sum + at, columns.positive_sum_rest + at);
        if (stats) store<T>(columns.dot + at, dot);
    }
    for (int64_t r = 0; r < count; ++r) {
        Vec<T> sum = load(rows.sum + r * lanes), positive_sum = {}, dot = {}, peak = {};
        Vec<T> best_negative = masked, best_positive = masked;
        if (labels) positive_sum = load(rows.positive_sum + r * lanes);
        if (stats) dot = load(rows.dot + r * lanes);
        if (wide) {
            const Vec<T> before = load(rows.peak + r * lanes);
            peak = before;
            for (int v = 0; v < vectors; ++v) {
                peak = larger<T>(peak, load(s + r * width + v * lanes));
            }
            const Vec<T> shift = before - peak, shrink = exp2<T>(shift * scale);
            if (stats) dot = (dot + shift * (sum + positive_sum)) * shrink;
            sum *= shrink;
            positive_sum *= shrink;
        }
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
            const Vec<T> value = load(s + r * width + v * lanes);
            Vec<T> for_row, for_column, row_shift, column_shift;
            if (wide) {
                row_shift = value - peak;
                column_shift = value - peaks[v];
                for_row = exp2<T>(row_shift * scale);
                for_column = exp2<T>(column_shift * scale);
            } else {
                row_shift = column_shift = value - problem.centre;
                for_row = for_column = exp2<T>(value * scale);
            }
            if (keep != nullptr) {
                store<T>(keep + r * width + v * lanes, wide ? value : for_row);
            }
            if (stats) {
                dot += for_row * row_shift;
                dots[v] += for_column * column_shift;
            }
            Vec<T> negative = value;
            if (labels) {
                const auto chosen = by_label<T>(problem, i + r, j + v * lanes, value);
                const Vec<T> zero = {}, own = chosen ? value : zero;
                add_exactly(rows.positives + r * lanes, rows.positives_rest + r * lanes, own);
                add_exactly(columns.positives + v * lanes, columns.positives_rest + v * lanes, own);
                if (stats) {
                    const Vec<T> positive = chosen ? value : masked;
                    best_positive = larger<T>(best_positive, positive);
                    best_positives[v] = larger<T>(best_positives[v], positive);
                    negative = chosen ? masked : value;
                }
                positive_sum += chosen ? for_row : zero;
                positive_sums[v] += chosen ? for_column : zero;
                for_row = chosen ? zero : for_row;
                for_column = chosen ? zero : for_column;
            }
            if (stats) {
                best_negative = larger<T>(best_negative, negative);
                best_negatives[v] = larger<T>(best_negatives[v], negative);
            }
            sum += for_row;
            sums[v] += for_column;
        }
        store<T>(rows.sum + r * lanes, sum);
        if (labels) store<T>(rows.positive_sum + r * lanes, positive_sum);
        if (stats) {
            store<T>(rows.dot + r * lanes, dot);
            keep_larger<T>(rows.best_negative + r * lanes, best_negative);
            if (labels) keep_larger<T>(rows.best_positive + r * lanes, best_positive);
        }
        if (wide) store<T>(rows.peak + r * lanes, peak);
    }
    for (int v = 0; v < vectors; ++v) {
        const int at = v * lanes;
        add_exactly(columns.sum + at, columns.sum_rest + at, sums[v]);
        if (labels) {
            add_exactly(columns.positive_sum + at, columns.positive_sum_rest + at,
                        positive_sums[v]);
        }
        if (stats) {
            store<T>(columns.dot + at, load(columns.dot + at) + dots[v]);
            keep_larger<T>(columns.best_negative + at, best_negatives[v]);
            if (labels) keep_larger<T>(columns.best_positive + at, best_positives[v]);
        }
        if (wide) store<T>(columns.peak + at, peaks[v]);
    }
}

// Adds the sums of a tile, one value a row by now, to those of the side from row `first` on.
template <typename T, bool wide>
inline void merge(const Problem<T>& problem, const Sums<T>& sums, int64_t first, int64_t count,
                  const TileSums<T>& tile) {
    constexpr int64_t lanes = Lanes<T>::count;
    const bool labels = problem.positives == Positives::labelled;
    for (int64_t at = 0; at < count; at += lanes) {
        const int64_t n = count - at < lanes ? count - at : lanes, to = first + at;
        Vec<T> shrink_old = {}, shrink_new = {}, old_shift = {}, new_shift = {};
        if (wide) {
            const Vec<T> before = load(sums.peak + to), here = load(tile.peak + at);
            const Vec<T> peak = larger<T>(before, here);
            store<T>(sums.peak + to, peak);
            old_shift = before - peak;
            new_shift = here - peak;
            shrink_old = exp2<T>(old_shift * problem.scale);
            shrink_new = exp2<T>(new_shift * problem.scale);
        }
        for (int64_t k = 0; k < n; ++k) {
            const double old = wide ? shrink_old[k] : 1, fresh = wide ? shrink_new[k] : 1;
            double& dot = sums.dot[to + k];
            if (problem.stats) dot = dot * old + tile.dot[at + k] * fresh;
            const auto add = [&](double& sum, const T* found, const T* rest) {
                const double more = static_cast<double>(found[at + k]) + rest[at + k];
                if (wide && problem.stats) {
                    dot += old_shift[k] * sum * old + new_shift[k] * more * fresh;
                }
                sum = sum * old + more * fresh;
            };
            add(sums.sum[to + k], tile.sum, tile.sum_rest);
            if (labels) {
                add(sums.positive_sum[to + k], tile.positive_sum, tile.positive_sum_rest);
                sums.positives[to + k] +=
                    static_cast<double>(tile.positives[at + k]) + tile.positives_rest[at + k];
            }
            if (problem.stats) {
                sums.best_negative[to + k] =
                    std::max(sums.best_negative[to + k], tile.best_negative[at + k]);
                sums.best_positive[to + k] =
                    std::max(sums.best_positive[to + k], tile.best_positive[at + k]);
            }
        }
    }
}

// Makes one value of the lanes of each row, in place: row r comes to lie at r.
template <typename T, bool wide, bool stats>
inline void reduce_lanes(const Problem<T>& problem, int64_t count, const TileSums<T>& rows) {
    constexpr int64_t lanes = Lanes<T>::count;
    const bool labels = problem.positives == Positives::labelled;
    for (int64_t r = 0; r < count; ++r) {
        const int64_t at = r * lanes;
        Vec<T> dot = {}, shift = {}, shrink = broadcast(T(1));
        if (stats) dot = load(rows.dot + at);
        if (wide) {
            const Vec<T> peaks = load(rows.peak + at);
            const T peak = max_of_lanes<T>(peaks);
            shift = peaks - peak;
            shrink = exp2<T>(shift * problem.scale);
            dot *= shrink;
            rows.peak[r] = peak;
        }
        const auto reduce = [&](T* sum, T* rest) {
            double total = 0;
            for (int64_t k = 0; k < lanes; ++k) {
                total += (static_cast<double>(sum[at + k]) + rest[at + k]) * shrink[k];
            }
            if (wide && stats) dot += shift * load(sum + at) * shrink;
            sum[r] = static_cast<T>(total);
            rest[r] = static_cast<T>(total - sum[r]);
        };
        reduce(rows.sum, rows.sum_rest);
        if (labels) {
            reduce(rows.positive_sum, rows.positive_sum_rest);
            double positives = 0;  // which no peak shrinks
            for (int64_t k = 0; k < lanes; ++k) {
                positives +=
                    static_cast<double>(rows.positives[at + k]) + rows.positives_rest[at + k];
            }
            rows.positives[r] = static_cast<T>(positives);
            rows.positives_rest[r] = static_cast<T>(positives - rows.positives[r]);
        }
        if (stats) {
            rows.dot[r] = sum_of_lanes<T>(dot);
            rows.best_negative[r] = max_of_lanes<T>(load(rows.best_negative + at));
            rows.best_positive[r] = max_of_lanes<T>(load(rows.best_positive + at));
        }
    }
}

template <typename Op, bool wide, bool stats, bool labels>
void forward_tile_of(const Problem<typename Op::Number>& problem, int64_t row, int64_t column,
                     const Sums<typename Op::Number>& row_sums,
                     const Sums<typename Op::Number>& column_sums, typename Op::Number* scratch,
                     typename Op::Number* kept) {
    using T = typename Op::Number;
    constexpr int64_t lanes = Lanes<T>::count, width = panel_width<T>;
    const int64_t i0 = row * problem.block, j0 = column * problem.block;
    const int64_t rows = std::min(problem.block, problem.rows.count - i0);
    const int64_t columns = std::min(problem.block, problem.columns.count - j0);
    const bool serves_columns = problem.both || (problem.self && row != column);
    const Special<T> special(problem, row, column);

    T* s = scratch;  // (tile_rows, width)
    const TileSums<T> of_rows(s + tile_rows * width, kMaxBlock * lanes);
    const TileSums<T> of_columns(of_rows.sum + TileSums<T>::fields * kMaxBlock * lanes, kMaxBlock);
    of_rows.clear(rows * lanes, problem);
    of_columns.clear(kMaxBlock, problem);
    for (int64_t j = 0; j < columns; j += width) {
        for (int64_t i = 0; i < rows; i += tile_rows) {
            const int64_t count = std::min<int64_t>(tile_rows, rows - i);
            similarities<Op>(problem, i0 + i, j0 + j, s, width);
            if (special.any()) {
                special.mask(s, width, i0 + i, j0 + j, [&](int64_t r, int64_t c) {
                    const T value = s[r * width + c];
                    row_sums.positive[i0 + i + r] = value;
                    if (serves_columns) column_sums.positive[j0 + j + c] = value;
                });
            }
            const TileSums<T> these_rows = of_rows.from(i * lanes),
                              these_columns = of_columns.from(j);
            sum_exponentials<T, wide, stats, labels>(problem, s, count, i0 + i, j0 + j, these_rows,
                                                     these_columns, kept);
            if (kept != nullptr) kept += tile_rows * width;
        }
    }
    reduce_lanes<T, wide, stats>(problem, rows, of_rows);
    merge<T, wide>(problem, row_sums, i0, rows, of_rows);
    if (serves_columns) merge<T, wide>(problem, column_sums, j0, columns, of_columns);
}

template <typename Op>
void forward_tile(const Problem<typename Op::Number>& problem, int64_t row, int64_t column,
                  const Sums<typename Op::Number>& row_sums,
                  const Sums<typename Op::Number>& column_sums, typename Op::Number* scratch,
                  typename Op::Number* kept) {
    const auto choose = [&](auto wide, auto stats) {
        return problem.positives == Positives::labelled
                   ? forward_tile_of<Op, wide.value, stats.value, true>
                   : forward_tile_of<Op, wide.value, stats.value, false>;
    };
    const auto tile = problem.wide ? (problem.stats ? choose(std::true_type(), std::true_type())
                                                    : choose(std::true_type(), std::false_type()))
                                   : (problem.stats ? choose(std::false_type(), std::true_type())
                                                    : choose(std::false_type(), std::false_type()));
    tile(problem, row, column, row_sums, column_sums, scratch, kept);
}

template <typename T>
constexpr int64_t forward_scratch =
    tile_rows * panel_width<T> + TileSums<T>::fields * kMaxBlock * (Lanes<T>::count + 1);
