// Columns that are groups, for q = 2: a lane of a vector is one of them. Included by foreach_isa.h
// once for each instruction set, inside that set's namespace.

// Rows that are gone through strip by strip: as many as are fetched side by side.
constexpr int64_t kStripRows = 8;

// Adds the squares of a strip to the sums of `several` vectors of columns from j on, of which
// `count` are left: all of these, or one vector of which some lanes may be beyond. Of floats those
// of kSummedInFloat rows are added up in float first.
template <typename T, typename From, bool softened, int several>
inline void add_squares_at(const Columns& columns, const From* from, int64_t rows, int64_t j,
                           int64_t count, double* sums) {
    constexpr int lanes = Lanes<T>::count, wide = Lanes<double>::count, halves = lanes / wide;
    const auto* const lam1 = static_cast<const Computed<From>*>(columns.lam1);
    const bool whole = several * lanes <= count;
    const auto numbers = [&](const auto* of, int64_t k) {
        using Number = std::remove_const_t<std::remove_pointer_t<decltype(of)>>;
        return whole ? read<T, Number, lanes>(of + k * lanes) : read_some<T>(of, count);
    };
    Vec<T> lam[several];
    Vec<double> parts[several][halves] = {};
#pragma GCC unroll 8
    for (int k = 0; k < several; ++k) lam[k] = softened ? numbers(lam1 + j, k) : Vec<T>{};
    for (int64_t r = 0; r < rows;) {
        const int64_t end = std::min(rows, r + (halves == 1 ? rows : kSummedInFloat));
        Vec<T> squares[several] = {};
        for (; r < end; ++r) {
            const From* const row = from + r * columns.stride + j;
#pragma GCC unroll 8
            for (int k = 0; k < several; ++k) {
                const Vec<T> w = numbers(row, k), u = softened ? soft<T>(w, lam[k]) : w;
                squares[k] += u * u;
            }
        }
#pragma GCC unroll 8
        for (int k = 0; k < several; ++k) add_in_double(squares[k], parts[k]);
    }
#pragma GCC unroll 8
    for (int k = 0; k < several; ++k) {
#pragma GCC unroll 2
        for (int half = 0; half < halves; ++half) {
            const int64_t at = j + k * lanes + half * wide, rest = count - (at - j);
            if (whole || rest >= wide) {
                store<double>(sums + at, load<double>(sums + at) + parts[k][half]);
            } else if (rest > 0) {
                write_some<double>(sums + at, read_some<double>(sums + at, rest) + parts[k][half],
                                   rest);
            }
        }
    }
}

template <typename T, typename From, bool softened>
inline void add_squares(const Columns& columns, const From* from, int64_t rows, double* sums) {
    constexpr int lanes = Lanes<T>::count, several = 8 * lanes > 64 ? 4 : 8;
    int64_t j = 0;
    for (; j + several * lanes <= columns.columns; j += several * lanes) {
        add_squares_at<T, From, softened, several>(columns, from, rows, j, columns.columns - j,
                                                   sums);
    }
    for (; j < columns.columns; j += lanes) {
        add_squares_at<T, From, softened, 1>(columns, from, rows, j, columns.columns - j, sums);
    }
}

template <typename T, typename From>
__attribute__((noinline)) void column_squares_as(const Columns& columns, double* sums) {
    const From* const from = static_cast<const From*>(columns.from);
    for (int64_t r = 0; r < columns.rows; r += kStripRows) {
        const int64_t rows = std::min(kStripRows, columns.rows - r);
        const auto add =
            columns.lam1 != nullptr ? add_squares<T, From, true> : add_squares<T, From, false>;
        add(columns, from + r * columns.stride, rows, sums);
    }
}

template <typename Element>
void column_squares(const Columns& columns, bool in_double, double* sums) {
    using T = Computed<Element>;
    if (columns.widened) {
        const auto kernel = in_double ? column_squares_as<double, T> : column_squares_as<T, T>;
        return kernel(columns, sums);
    }
    const auto kernel =
        in_double ? column_squares_as<double, Element> : column_squares_as<T, Element>;
    kernel(columns, sums);
}

template <typename From, typename To, bool softened>
__attribute__((noinline)) void scale_columns_as(const Columns& columns, const void* factors,
                                                const Results& results) {
    using T = Computed<To>;
    constexpr int lanes = Lanes<T>::count;
    const auto* by = static_cast<const T*>(factors);
    const auto* lam1 = static_cast<const T*>(columns.lam1);
    const int64_t n = columns.columns;
    const auto numbers = [&](const T* of, int64_t i) {
        return i + lanes <= n ? load<T>(of + i) : read_some<T>(of + i, n - i);
    };
    for (int64_t r = 0; r < columns.rows; ++r) {
        const Results row{static_cast<To*>(results.to) + r * columns.stride, results.past_cache};
        const From* const from = static_cast<const From*>(columns.from) + r * columns.stride;
        transform<T, To>(from, n, row, [&](int64_t i, const Vec<T>& w) {
            const Vec<T> factor = numbers(by, i);
            const Vec<T> u = softened ? soft<T>(w, numbers(lam1, i)) : w;
            return factor == 0 ? Vec<T>{} : u * factor;
        });
    }
}

template <typename Element>
void scale_columns(const Columns& columns, const void* factors, const Results& results) {
    using T = Computed<Element>;
    const bool softened = columns.lam1 != nullptr;
    if (columns.widened) {
        const auto kernel =
            softened ? scale_columns_as<T, Element, true> : scale_columns_as<T, Element, false>;
        return kernel(columns, factors, results);
    }
    const auto kernel = softened ? scale_columns_as<Element, Element, true>
                                 : scale_columns_as<Element, Element, false>;
    kernel(columns, factors, results);
}
