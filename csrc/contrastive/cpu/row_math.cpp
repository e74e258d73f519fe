#include "contrastive/cpu/row_math.h"

#include <cstdlib>  // for __GLIBC__

// Loops that the compiler turns into vectors by itself: one version for each set, picked at load.
// (LELKERN_CPU_ISA does not govern these; musl has no such choice at load.)
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
#define LELKERN_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define LELKERN_CLONES
#endif

namespace lelkern::contrastive {

LELKERN_CLONES double dot_product(const double* a, const double* b, int64_t n) {
    double sums[16] = {};  // several, so that they are added side by side
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        for (int k = 0; k < 16; ++k) sums[k] += a[i + k] * b[i + k];
    }
    for (; i < n; ++i) sums[0] += a[i] * b[i];
    double total = 0;
    for (const double sum : sums) total += sum;
    return total;
}

LELKERN_CLONES void convert(const float* a, double* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] = a[i];
}

LELKERN_CLONES void scale(const double* a, double factor, double* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] = factor * a[i];
}

LELKERN_CLONES void scale(const double* a, double factor, float* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(factor * a[i]);
}

LELKERN_CLONES void add_scaled(const double* a, double factor, double* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] += factor * a[i];
}

LELKERN_CLONES void add(const float* a, double* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] += a[i];
}

LELKERN_CLONES void add(const double* a, double* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] += a[i];
}

namespace {

// Squares of 4 x 4 in registers: a line of the output is not fetched again for every number.
template <typename T>
void transpose_squares(const T* a, int64_t rows, int64_t columns, T* out) {
    typedef T Four __attribute__((vector_size(4 * sizeof(T)), aligned(alignof(T)), may_alias));
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
        const T* from = a + r * columns;
        T* to = out + r;
        int64_t c = 0;
        for (; c + 4 <= columns; c += 4) {
            const auto load = [&](int64_t row) {
                return *reinterpret_cast<const Four*>(from + row * columns + c);
            };
            const Four x = load(0), y = load(1), z = load(2), w = load(3);
            const Four xy_low = __builtin_shufflevector(x, y, 0, 4, 1, 5),
                       xy_high = __builtin_shufflevector(x, y, 2, 6, 3, 7),
                       zw_low = __builtin_shufflevector(z, w, 0, 4, 1, 5),
                       zw_high = __builtin_shufflevector(z, w, 2, 6, 3, 7);
            const auto store = [&](int64_t column, const Four& value) {
                *reinterpret_cast<Four*>(to + (c + column) * rows) = value;
            };
            store(0, __builtin_shufflevector(xy_low, zw_low, 0, 1, 4, 5));
            store(1, __builtin_shufflevector(xy_low, zw_low, 2, 3, 6, 7));
            store(2, __builtin_shufflevector(xy_high, zw_high, 0, 1, 4, 5));
            store(3, __builtin_shufflevector(xy_high, zw_high, 2, 3, 6, 7));
        }
        for (; c < columns; ++c) {
            for (int64_t k = 0; k < 4; ++k) to[c * rows + k] = from[k * columns + c];
        }
    }
    for (; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c) out[c * rows + r] = a[r * columns + c];
    }
}

}  // namespace

void transpose(const float* a, int64_t rows, int64_t columns, float* out) {
    transpose_squares(a, rows, columns, out);
}

void transpose(const double* a, int64_t rows, int64_t columns, double* out) {
    transpose_squares(a, rows, columns, out);
}

}  // namespace lelkern::contrastive
