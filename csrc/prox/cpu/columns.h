// Columns that are groups, for q = 2: a lane of a vector is one of them. Included by foreach_isa.h
// once for each instruction set, inside that set's namespace.

// Rows that are gone through strip by strip: as many as are fetched side by side.
constexpr int64_t kStripRows = 8;

template <typename From, bool softened>
inline void add_squares(const Columns& columns, const From* from, int64_t rows, int64_t begin,
                        int64_t count, double* sums) {
    using T = double;
    constexpr int lanes = Lanes<T>::count, several = 8;
    const auto* lam1 = static_cast<const Computed<From>*>(columns.lam1);
    const auto squares = [&](const Vec<T>& w, const Vec<T>& lam) {
        const Vec<T> u = softened ? soft<T>(w, lam) : w;
        return u * u;
    };
    int64_t j = begin;
    for (; j + several * lanes <= begin + count; j += several * lanes) {
        Vec<T> parts[several], lam[several];
#pragma GCC unroll 8
        for (int k = 0; k < several; ++k) {
            parts[k] = load<T>(sums + j + k * lanes);
            lam[k] = softened ? read<T, Computed<From>, lanes>(lam1 + j + k * lanes) : Vec<T>{};
        }
        for (int64_t r = 0; r < rows; ++r) {
            const From* const row = from + r * columns.stride + j;
#pragma GCC unroll 8
            for (int k = 0; k < several; ++k) {
                parts[k] += squares(read<T, From, lanes>(row + k * lanes), lam[k]);
            }
        }
#pragma GCC unroll 8
        for (int k = 0; k < several; ++k) store<T>(sums + j + k * lanes, parts[k]);
    }
    for (; j < begin + count; j += lanes) {
        const int64_t rest = std::min<int64_t>(lanes, begin + count - j);
        const bool whole = rest == lanes;
        Vec<T> lam{};
        if (softened) {
            lam = whole ? read<T, Computed<From>, lanes>(lam1 + j) : read_some<T>(lam1 + j, rest);
        }
        Vec<T> part = whole ? load<T>(sums + j) : read_some<T>(sums + j, rest);
        for (int64_t r = 0; r < rows; ++r) {
            const From* const at = from + r * columns.stride + j;
            part += squares(whole ? read<T, From, lanes>(at) : read_some<T>(at, rest), lam);
        }
        if (whole) {
            store<T>(sums + j, part);
        } else {
            write_some<T>(sums + j, part, rest);
        }
    }
}

template <typename From>
__attribute__((noinline)) void column_squares_as(const Columns& columns, double* sums) {
    const From* const from = static_cast<const From*>(columns.from);
    for (int64_t r = 0; r < columns.rows; r += kStripRows) {
        const int64_t rows = std::min(kStripRows, columns.rows - r);
        const auto add =
            columns.lam1 != nullptr ? add_squares<From, true> : add_squares<From, false>;
        add(columns, from + r * columns.stride, rows, 0, columns.columns, sums);
    }
}

template <typename Element>
void column_squares(const Columns& columns, double* sums) {
    if (columns.widened) return column_squares_as<Computed<Element>>(columns, sums);
    column_squares_as<Element>(columns, sums);
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
