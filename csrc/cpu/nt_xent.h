// What the NT-Xent tiles of every instruction set share: sizes, workspace and saved statistics.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace lelkern::nt_xent {

constexpr int64_t kColumns = 128;  // columns of a tile of similarities: with its rows, in the L1
constexpr int64_t kDepth = 256;  // features summed at a time: bounds the rounding error for large D
constexpr int64_t kPadding = 128;  // rows of the workspace come in multiples of it

constexpr int64_t round_up(int64_t value, int64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

// The batch of M = 2N unit rows. Rows and features beyond M and D are zero.
template <typename T>
struct Batch {
    int64_t M, D;
    int64_t padded_M;  // a multiple of kPadding
    int64_t padded_D;  // a multiple of kPadding / 2
    double beta;       // 1 / temperature
    const T* rows;     // (padded_M, padded_D)
    const T*
        panels;  // (padded_M / panel width, D, panel width): the rows, transposed for the tiles

    int64_t positive(int64_t i) const { return i < M / 2 ? i + M / 2 : i - M / 2; }
};

// What forward leaves for backward, one value a row.
template <typename T>
struct Saved {
    T* loss;              // (M,)
    double* log_sum_exp;  // (M,) over every other row, the positive among them
};

// What backward knows of each row, padded with zeros to padded_M.
//
// With P_ij = exp(beta s_ij - log_sum_exp_i) the gradient with respect to the unit rows is
//     dz_i = beta sum_j G_ij z_j,   G_ij = g_i P_ij + g_j P_ji - (g_i + g_j) [j = positive(i)].
template <typename T>
struct Weights {
    // beta is small enough to exponentiate beta s without a shift, so that one exponential serves
    // both sides: G_ij = exp(beta s_ij) (unshifted_i + unshifted_j), unshifted_i = g_i /
    // exp(lse_i).
    bool one_exp;
    std::vector<T> unshifted;
    // Otherwise P_ij = exp(beta (s_ij - peak_i) - rest_i), where beta peak_i + rest_i = lse_i:
    // a difference of near numbers is exact, and the large product is never rounded.
    std::vector<T> upstream, peak, rest;
    // g_i (1 - P_i,positive), where 1 - P is exact also when P is nearly 1.
    std::vector<T> missing;
};

}  // namespace lelkern::nt_xent
