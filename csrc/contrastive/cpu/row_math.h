// Arithmetic over rows, in double for accuracy, for whatever instruction set the machine runs.
#pragma once

#include <cstdint>

namespace lelkern::contrastive {

double dot_product(const double* a, const double* b, int64_t n);

// out = a.
void convert(const float* a, double* out, int64_t n);

// out = factor * a, rounded.
void scale(const double* a, double factor, double* out, int64_t n);
void scale(const double* a, double factor, float* out, int64_t n);

// out += factor * a.
void add_scaled(const double* a, double factor, double* out, int64_t n);
void add(const float* a, double* out, int64_t n);
void add(const double* a, double* out, int64_t n);

// out (columns, rows) = a (rows, columns) the other way round.
void transpose(const float* a, int64_t rows, int64_t columns, float* out);
void transpose(const double* a, int64_t rows, int64_t columns, double* out);

}  // namespace lelkern::contrastive
