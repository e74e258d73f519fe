// What the contrastive losses have in common: rows compared with columns, block by block.
//
// NT-Xent and SupCon compare M rows with themselves (`self`), where s_ij = s_ji, so that half of
// the tiles serve both sides. InfoNCE compares queries with keys, in one direction or in `both`.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "contrastive/common/contrastive_positives.h"

namespace lelkern::contrastive {

constexpr int64_t kMaxBlock = 192;  // rows of a tile of similarities: it and its rows fit the L2
constexpr int64_t kTileStride = kMaxBlock + 16;  // of a row of a tile: lines in all cache sets
constexpr int64_t kDepth = 256;  // features summed at a time: bounds the rounding error for large D

// Similarities outside the sums. The exponential of kMasked less any other is 0.
constexpr double kMasked = -1e30, kLowest = -1e20;

// The integer as wide as T, for comparisons lane by lane.
template <typename T>
using Code = std::conditional_t<std::is_same_v<T, double>, int64_t, int32_t>;

// The rows of a tensor as tiles want them, cut in blocks and padded with zeros to whole ones.
// A word is a number, or two in bfloat16.
template <typename T>
struct Side {
    int64_t count, blocks;
    const void* panels;     // (padded / panel width, words of D, panel width): features in words
    const void* rows;       // (padded / numbers a word, stride): rows in words; only for backward
    const T* inverse_norm;  // (padded,) that is still to be multiplied in, or null
    const Code<T>* ids;     // (padded,) or null; no two pads equal a row
    const Code<T>* labels;  // (padded,) or null
};

template <typename T>
struct Problem {
    int64_t D, words;  // features, and in words
    int64_t padded_D,
        stride;             // of `rows` and of what backward adds to: numbers used, numbers apart
    int64_t block;          // rows or columns of a tile
    Side<T> rows, columns;  // the same under `self`
    bool self, both;
    bool stats;  // or slopes: `dot` is summed, and the best candidates are looked for
    // exp(beta s) may leave the range of T: sums are kept relative to a peak that each row has.
    bool wide;
    T centre;  // a similarity, which `dot` is relative to unless `wide`
    Positives positives;
    int64_t pairs;  // N of `paired`
    T scale;        // beta / ln 2 = 1 / (temperature ln 2)
    double beta;    // that of `scale` exactly

    // Column that row i should recognise, or -1.
    int64_t positive(int64_t i) const {
        if (positives == Positives::paired) return i < pairs ? i + pairs : i - pairs;
        return positives == Positives::aligned ? i : -1;
    }
};

// What forward sums for each row (or column), relative to its peak.
template <typename T>
struct Sums {
    double* sum;           // of exp(beta (s - peak)) over the negatives
    double* positive_sum;  // likewise over the positives by label
    T* peak;               // the largest s so far if `wide`, and 0 otherwise
    T* positive;           // s of the single positive
    double* positives;     // sum of s over the positives by label
    double* dot;           // of exp(beta (s - peak)) (s - peak if `wide`, or s - centre)
    T* best_negative;      // the largest s of a negative
    T* best_positive;      // the largest s of a positive by label
};

// What backward knows of each row (or column).
//
// With P_ij = exp(beta s_ij - log_sum_exp_i) the gradient with respect to similarity ij is
//     G_ij = g_i P_ij - g_i [j is the positive of i]   (+ the same with i and j exchanged)
// times beta, where i runs over the rows, and exchanged over the columns that have losses.
template <typename T>
struct Weights {
    // Unless `wide` one exponential serves both sides: G_ij = exp(beta s_ij) (unshifted_i +
    // unshifted_j), unshifted_i = g_i / exp(lse_i).
    const T* unshifted;
    // Otherwise P_ij = exp(beta (s_ij - peak_i) - rest_i), where beta peak_i + rest_i = lse_i: a
    // difference of near numbers is exact, and the large product is never rounded. In units of
    // ln 2.
    const T *upstream, *peak, *rest;
    const T* missing;  // g_i (1 - P_i,positive), where 1 - P is exact also when P is nearly 1
    // Towards positives by label G_ij has `for_positives` in the place of unshifted or upstream,
    // and is less by `share`: g_i over their number or, of a single one, nothing and all that is
    // missing.
    const T *for_positives, *share;
};

// From a similarity to the logit of a decision: scale s + bias.
template <typename T>
struct Logits {
    T scale, bias;
};

// What forward sums for each row over its decisions.
struct DecisionSums {
    double *loss, *by_bias, *by_scale;  // the loss, and its derivatives

    DecisionSums from(int64_t first) const {
        return {loss + first, by_bias + first, by_scale + first};
    }
};

// The tiles of one instruction set, for numbers of type T.
template <typename T>
struct Kernels {
    int panel_width;
    bool bf16;  // words are pairs of bfloat16
    // Numbers that a thread needs; decisions need no more.
    int64_t forward_scratch, backward_scratch;
    // `kept`: where exp(beta s), or s if `wide`, is left for backward: block * block numbers, one
    // register tile after the other, or null.
    void (*forward)(const Problem<T>&, int64_t row, int64_t column, const Sums<T>& rows,
                    const Sums<T>& columns, T* scratch, T* kept);
    // Adds sum_j G_ij z_j to the rows and, unless null, sum_i G_ij z_i to the columns.
    void (*backward)(const Problem<T>&, int64_t row, int64_t column, const Weights<T>& row_weights,
                     const Weights<T>& column_weights, T* rows, T* columns, T* scratch,
                     const T* kept);
    // The same of decisions, of which each pair is one (siglip_tile.h). `kept`: their slopes.
    void (*forward_decisions)(const Problem<T>&, const Logits<T>&, int64_t row, int64_t column,
                              const DecisionSums& rows, T* scratch, T* kept);
    // `upstream`: of the losses of rows.
    void (*backward_decisions)(const Problem<T>&, const Logits<T>&, int64_t row, int64_t column,
                               const T* upstream, T* rows, T* columns, T* scratch, const T* kept);
};

// Those of the instruction set that this machine runs; in bfloat16 if asked for and it can.
template <typename T>
Kernels<T> kernels(bool bf16);

}  // namespace lelkern::contrastive
