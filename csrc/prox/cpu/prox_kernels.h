// What a CPU needs for proximal operators: arithmetic for whatever instruction set it runs.
#pragma once

#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>

#include "prox/common/sgd_step.h"

namespace lelkern::prox {

using torch::headeronly::ScalarType;

// Thresholds of numbers or groups that follow each other, of the type that is computed in, to be
// multiplied by `scale`: one each, or one for all. Null: 0.
struct Scaled {
    const void* values;
    bool each;
    double scale;
};

// How results are written: where they are aligned as vectors are, past the cache.
struct Results {
    void* to;
    bool past_cache;
};

// The numbers of a group side by side. `widened`: in the type that is computed in, whatever the
// results are in. Thresholds are at least 0, or nan.
struct GroupRow {
    const void* from;
    bool widened;
    int64_t n;
    double lam1, lam, q;
    void* scratch;  // room for what scratch_bytes says
};

struct GroupRowGradient {
    const void *grad, *w;
    int64_t n;
    double lam1, lam, q, root;
    void* scratch;
};

// The same in a diagonal metric, whose numbers are of the type that is computed in. q is 2.
struct MetricRow {
    const void *from, *metric;
    int64_t n;
    double lam1, lam;
    void* scratch;
};

struct OfThresholds {
    double lam1, lam;
};

// Groups that interleave, for q = 2: numbers `inner` apart are of one group, and of a range of
// rows and columns. Null `lam1`: 0.
struct Columns {
    const void* from;
    bool widened;
    int64_t rows, columns, stride;
    const void* lam1;  // (columns,), of the type that is computed in
};

// A row of a problem of the projection onto the l1-infinity ball: where |x| is cut, and how many
// numbers are.
struct Cut {
    double level, count;
};

// Functions over numbers of one dtype that lie side by side.
struct ProxKernels {
    // The prox of a group; returns its root.
    double (*group)(const GroupRow& row, const Results& results);
    OfThresholds (*group_backward)(const GroupRowGradient& row, const Results& results);

    // The prox of a group in a metric.
    void (*group_in_metric)(const MetricRow& row, void* to);

    // Soft thresholds of n numbers, lam1 first and then lam.
    void (*soft)(const void* from, bool widened, int64_t n, const Scaled& lam1, const Scaled& lam,
                 const Results& results);
    // Of n numbers with thresholds divided by a metric.
    void (*soft_in_metric)(const void* from, const void* metric, int64_t n, const Scaled& lam1,
                           void* to);
    // Returns the sum of the gradients of lam, or writes them to `of_lam` if there is one each.
    double (*soft_backward)(const void* grad, const void* w, int64_t n, const Scaled& lam,
                            void* of_lam, const Results& results);

    // What n parameters become, rounded or in the type that is computed in.
    void (*sgd)(const void* w, const void* grad, void* buffer, int64_t n, const SgdStep& step,
                void* to, bool widened);

    // sums (columns,) += the squares of the columns; `in_double` without any sum of a few floats,
    // whose squares may leave their range.
    void (*column_squares)(const Columns& columns, bool in_double, double* sums);
    // to = from times a factor for each column, of the type that is computed in; what has factor 0
    // becomes 0.
    void (*scale_columns)(const Columns& columns, const void* factors, const Results& results);

    // The projection of a row on the simplex, or with `l1` on the ball; returns theta.
    double (*simplex)(const void* from, int64_t n, double radius, bool l1, void* scratch, void* to);
    // Returns the gradient of the radius.
    double (*simplex_backward)(const void* grad, const void* y, int64_t n, bool l1, double theta,
                               void* to);

    // The sum and the largest of |x|; nan if one is.
    void (*magnitudes)(const void* x, int64_t n, double* sum, double* largest);
    // The level at which sum (|x| - level)+ = theta, from one that is not above it.
    Cut (*cut)(const void* x, int64_t n, double theta, double start);
    // to = x with |x| at most the level.
    void (*clip)(const void* x, int64_t n, double level, const Results& results);
    // The sum of sign(x) grad where |x| is at least the level; and how many are.
    double (*along_cut)(const void* grad, const void* x, int64_t n, double level, double* count);
    // to = sign(x) times `value` where |x| is at least the level, and grad elsewhere.
    void (*clip_backward)(const void* grad, const void* x, int64_t n, double level, double value,
                          void* to);
};

// The kernels for numbers of a dtype.
const ProxKernels& prox_kernels(ScalarType dtype);

// How large squares of numbers, in the type that `dtype` is computed in, are on average at least if
// none has lost what matters to underflow.
double least_in_range(ScalarType dtype);
// Whether a sum of n such squares has lost nothing that matters to overflow or underflow.
bool are_in_range(double squares, int64_t n, ScalarType dtype);

// What functions over a row of n numbers may write to `scratch`: a row of doubles, and two of
// floats; or two rows of either.
int64_t scratch_bytes(int64_t n);
// How far rows of n numbers are apart there: there is room for whole vectors of the widest kind.
int64_t apart_in_scratch(int64_t n);
double* empty_roots(void* scratch, int64_t n);  // the first, of zeros
float* wide_row(void* scratch, int64_t n, int which);

}  // namespace lelkern::prox
