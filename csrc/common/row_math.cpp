#include "common/row_math.h"

#include <cstdlib>  // for __GLIBC__

// Loops that the compiler turns into vectors by itself: one version for each set, picked at load.
// (LELKERN_CPU_ISA does not govern these; musl has no such choice at load.)
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
#define LELKERN_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define LELKERN_CLONES
#endif

namespace lelkern {

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

}  // namespace lelkern
