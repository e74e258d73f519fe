// The sums of exponentials of one tile of similarities. Included by foreach_isa.h.

// What one tile adds to the sums of a side: `lanes` values a row for rows, one for columns.
template <typename T>
struct TileSums {
    T *sum, *peak, *dot, *positives, *best_negative, *best_positive;

    static constexpr int fields = 6;

    TileSums(T* memory, int64_t size)
        : sum(memory),
          peak(sum + size),
          dot(peak + size),
          positives(dot + size),
          best_negative(positives + size),
          best_positive(best_negative + size) {}

    void clear(int64_t size, const contrastive::Problem<T>& problem) const {
        constexpr T lowest = static_cast<T>(contrastive::kLowest);
        std::fill_n(sum, size, T(0));
        if (problem.wide) std::fill_n(peak, size, lowest);
        if (problem.positives == contrastive::Positives::labelled)
            std::fill_n(positives, size, T(0));
        if (problem.stats) {
            std::fill_n(dot, size, T(0));
            std::fill_n(best_negative, size, lowest);
            std::fill_n(best_positive, size, lowest);
        }
    }

    TileSums from(int64_t at) const {
        TileSums moved = *this;
        for (T** field : {&moved.sum, &moved.peak, &moved.dot, &moved.positives,
                          &moved.best_negative, &moved.best_positive}) {
            *field += at;
        }
        return moved;
    }
};

// Adds the register tile s (count rows, panel_width) to the sums of its rows and columns.
// `keep`: where the exponentials, or s if wide, are left, unless null.
template <typename T, bool wide, bool stats>
inline void sum_exponentials(const T* s, int64_t count, T scale, const TileSums<T>& rows,
                             const TileSums<T>& columns, T* keep) {
    constexpr int vectors = LELKERN_TILE_VECTORS, lanes = Lanes<T>::count;
    constexpr int width = panel_width<T>;
    Vec<T> sums[vectors], dots[vectors], peaks[vectors];
    for (int v = 0; v < vectors; ++v) {
        const int at = v * lanes;
        sums[v] = load(columns.sum + at);
        if (stats) dots[v] = load(columns.dot + at);
        if (!wide) continue;
        const Vec<T> before = load(columns.peak + at);
        peaks[v] = before;
        for (int64_t r = 0; r < count; ++r)
            peaks[v] = larger<T>(peaks[v], load(s + r * width + at));
        const Vec<T> shrink = exp2<T>((before - peaks[v]) * scale);
        if (stats) dots[v] = (dots[v] + (before - peaks[v]) * sums[v]) * shrink;
        sums[v] *= shrink;
    }
    for (int64_t r = 0; r < count; ++r) {
        Vec<T> sum = load(rows.sum + r * lanes), dot = {}, peak = {};
        if (stats) dot = load(rows.dot + r * lanes);
        if (wide) {
            const Vec<T> before = load(rows.peak + r * lanes);
            peak = before;
            for (int v = 0; v < vectors; ++v) {
                peak = larger<T>(peak, load(s + r * width + v * lanes));
            }
            const Vec<T> shrink = exp2<T>((before - peak) * scale);
            if (stats) dot = (dot + (before - peak) * sum) * shrink;
            sum *= shrink;
        }
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
            const Vec<T> value = load(s + r * width + v * lanes);
            if (wide) {
                const Vec<T> for_row = exp2<T>((value - peak) * scale);
                const Vec<T> for_column = exp2<T>((value - peaks[v]) * scale);
                sum += for_row;
                sums[v] += for_column;
                if (stats) {
                    dot += for_row * (value - peak);
                    dots[v] += for_column * (value - peaks[v]);
                }
                if (keep != nullptr) store<T>(keep + r * width + v * lanes, value);
            } else {
                const Vec<T> exponential = exp2<T>(value * scale);
                sum += exponential;
                sums[v] += exponential;
                if (stats) {
                    const Vec<T> product = exponential * value;
                    dot += product;
                    dots[v] += product;
                }
                if (keep != nullptr) store<T>(keep + r * width + v * lanes, exponential);
            }
        }
        store<T>(rows.sum + r * lanes, sum);
        if (stats) store<T>(rows.dot + r * lanes, dot);
        if (wide) store<T>(rows.peak + r * lanes, peak);
    }
    for (int v = 0; v < vectors; ++v) {
        store<T>(columns.sum + v * lanes, sums[v]);
        if (stats) store<T>(columns.dot + v * lanes, dots[v]);
        if (wide) store<T>(columns.peak + v * lanes, peaks[v]);
    }
}

// Sums the similarities of the positives by label, and finds the best of both kinds.
template <typename T>
inline void look_at_candidates(const contrastive::Problem<T>& problem, const T* s, int64_t count,
                               int64_t i, int64_t j, const TileSums<T>& rows,
                               const TileSums<T>& columns) {
    constexpr int lanes = Lanes<T>::count, width = panel_width<T>;
    const Vec<T> masked = broadcast(static_cast<T>(contrastive::kMasked));
    for (int64_t r = 0; r < count; ++r) {
        for (int c = 0; c < width; c += lanes) {
            const Vec<T> value = load(s + r * width + c);
            Vec<T> negative = value;
            if (problem.rows.labels != nullptr) {
                const auto chosen =
                    (load_codes<T>(problem.columns.labels + j + c) == problem.rows.labels[i + r]) &
                    ~(value < static_cast<T>(contrastive::kLowest));
                const Vec<T> positive = chosen ? value : Vec<T>{};
                store<T>(rows.positives + r * lanes, load(rows.positives + r * lanes) + positive);
                store<T>(columns.positives + c, load(columns.positives + c) + positive);
                if (!problem.stats) continue;
                const Vec<T> best = chosen ? value : masked;
                negative = chosen ? masked : value;
                store<T>(rows.best_positive + r * lanes,
                         larger<T>(load(rows.best_positive + r * lanes), best));
                store<T>(columns.best_positive + c,
                         larger<T>(load(columns.best_positive + c), best));
            }
            store<T>(rows.best_negative + r * lanes,
                     larger<T>(load(rows.best_negative + r * lanes), negative));
            store<T>(columns.best_negative + c,
                     larger<T>(load(columns.best_negative + c), negative));
        }
    }
}

// Adds the sums of a tile, one value a row by now, to those of the side from row `first` on.
template <typename T, bool wide>
inline void merge(const contrastive::Problem<T>& problem, const contrastive::Sums<T>& sums,
                  int64_t first, int64_t count, const TileSums<T>& tile) {
    constexpr int64_t lanes = Lanes<T>::count;
    for (int64_t at = 0; at < count; at += lanes) {
        const int64_t n = count - at < lanes ? count - at : lanes, to = first + at;
        Vec<T> shrink_old = {}, shrink_new = {}, old_shift = {}, new_shift = {};
        if (wide) {
            const Vec<T> before = load(sums.peak + to), found = load(tile.peak + at);
            const Vec<T> peak = larger<T>(before, found);
            store<T>(sums.peak + to, peak);
            old_shift = before - peak;
            new_shift = found - peak;
            shrink_old = exp2<T>(old_shift * problem.scale);
            shrink_new = exp2<T>(new_shift * problem.scale);
        }
        for (int64_t k = 0; k < n; ++k) {
            double &sum = sums.sum[to + k], &dot = sums.dot[to + k];
            if (wide) {
                if (problem.stats) {
                    dot =
                        (dot + old_shift[k] * sum) * shrink_old[k] +
                        (tile.dot[at + k] + new_shift[k] * static_cast<double>(tile.sum[at + k])) *
                            shrink_new[k];
                }
                sum = sum * shrink_old[k] + static_cast<double>(tile.sum[at + k]) * shrink_new[k];
            } else {
                sum += tile.sum[at + k];
                if (problem.stats) dot += tile.dot[at + k];
            }
            if (problem.positives == contrastive::Positives::labelled) {
                sums.positives[to + k] += tile.positives[at + k];
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
inline void reduce_lanes(const contrastive::Problem<T>& problem, int64_t count,
                         const TileSums<T>& rows) {
    constexpr int64_t lanes = Lanes<T>::count;
    for (int64_t r = 0; r < count; ++r) {
        const int64_t at = r * lanes;
        Vec<T> sum = load(rows.sum + at), dot = {};
        if (stats) dot = load(rows.dot + at);
        if (wide) {
            const Vec<T> peaks = load(rows.peak + at);
            const T peak = max_of_lanes<T>(peaks);
            const Vec<T> shift = peaks - peak, shrink = exp2<T>(shift * problem.scale);
            dot = (dot + shift * sum) * shrink;
            sum *= shrink;
            rows.peak[r] = peak;
        }
        rows.sum[r] = sum_of_lanes<T>(sum);
        if (problem.positives == contrastive::Positives::labelled) {
            rows.positives[r] = sum_of_lanes<T>(load(rows.positives + at));
        }
        if (stats) {
            rows.dot[r] = sum_of_lanes<T>(dot);
            rows.best_negative[r] = max_of_lanes<T>(load(rows.best_negative + at));
            rows.best_positive[r] = max_of_lanes<T>(load(rows.best_positive + at));
        }
    }
}

template <typename Op, bool wide, bool stats>
void forward_tile_of(const contrastive::Problem<typename Op::Number>& problem, int64_t row,
                     int64_t column, const contrastive::Sums<typename Op::Number>& row_sums,
                     const contrastive::Sums<typename Op::Number>& column_sums,
                     typename Op::Number* scratch, typename Op::Number* kept) {
    using T = typename Op::Number;
    constexpr int64_t lanes = Lanes<T>::count, width = panel_width<T>;
    const int64_t i0 = row * problem.block, j0 = column * problem.block;
    const int64_t rows = std::min(problem.block, problem.rows.count - i0);
    const int64_t columns = std::min(problem.block, problem.columns.count - j0);
    const bool labels = problem.positives == contrastive::Positives::labelled;
    const bool serves_columns = problem.both || (problem.self && row != column);
    const Special<T> special(problem, row, column);

    T* s = scratch;  // (tile_rows, width)
    const TileSums<T> of_rows(s + tile_rows * width, contrastive::kMaxBlock * lanes);
    const TileSums<T> of_columns(of_rows.sum + TileSums<T>::fields * contrastive::kMaxBlock * lanes,
                                 contrastive::kMaxBlock);
    of_rows.clear(rows * lanes, problem);
    of_columns.clear(contrastive::kMaxBlock, problem);
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
            if (labels || stats) {
                look_at_candidates(problem, s, count, i0 + i, j0 + j, these_rows, these_columns);
            }
            sum_exponentials<T, wide, stats>(s, count, problem.scale, these_rows, these_columns,
                                             kept);
            if (kept != nullptr) kept += tile_rows * width;
        }
    }
    reduce_lanes<T, wide, stats>(problem, rows, of_rows);
    merge<T, wide>(problem, row_sums, i0, rows, of_rows);
    if (serves_columns) merge<T, wide>(problem, column_sums, j0, columns, of_columns);
}

template <typename Op>
void forward_tile(const contrastive::Problem<typename Op::Number>& problem, int64_t row,
                  int64_t column, const contrastive::Sums<typename Op::Number>& row_sums,
                  const contrastive::Sums<typename Op::Number>& column_sums,
                  typename Op::Number* scratch, typename Op::Number* kept) {
    const auto tile =
        problem.wide
            ? (problem.stats ? forward_tile_of<Op, true, true> : forward_tile_of<Op, true, false>)
            : (problem.stats ? forward_tile_of<Op, false, true>
                             : forward_tile_of<Op, false, false>);
    tile(problem, row, column, row_sums, column_sums, scratch, kept);
}

template <typename T>
constexpr int64_t forward_scratch =
    tile_rows * panel_width<T> +
    TileSums<T>::fields * contrastive::kMaxBlock * (Lanes<T>::count + 1);
