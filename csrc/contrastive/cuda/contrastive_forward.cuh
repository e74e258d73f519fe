// The sums of exponentials of every row, and what becomes of them.
#pragma once

#include "contrastive/cuda/contrastive_rows.cuh"
#include "contrastive/cuda/contrastive_shares.cuh"
#include "contrastive/cuda/contrastive_stream.cuh"
#include "contrastive/cuda/contrastive_tiles.cuh"

namespace lelkern::contrastive::cuda {

// What is summed for a row, exponentials relative to its peak: a similarity that is not far below
// the largest so far.
template <typename T>
struct RowSums {
    T peak = kLowest;
    T sum = 0;           // of exp(beta (s - peak)) over the negatives
    T positive_sum = 0;  // likewise over the positives by label
    T positives = 0;     // of s - peak over them
    T count = 0;         // of them
    T dot = 0;           // of exp(beta (s - peak)) (s - peak) over both
    T best_negative = kLowest, best_positive = kLowest;

    static constexpr int fields = 8;

    // Makes sums relative to a larger peak.
    __device__ void raise(T to, T scale) {
        const T shift = peak - to, shrink = exp2_of(shift * scale);
        dot = sum + positive_sum == 0 ? T(0) : (dot + shift * (sum + positive_sum)) * shrink;
        sum *= shrink;
        positive_sum *= shrink;
        if (count != 0) positives += shift * count;
        peak = to;
    }

    // Others that are relative to the same peak.
    __device__ void add_relative(const RowSums& other) {
        sum += other.sum;
        positive_sum += other.positive_sum;
        positives += other.positives;
        count += other.count;
        dot += other.dot;
        best_negative = larger(best_negative, other.best_negative);
        best_positive = larger(best_positive, other.best_positive);
    }

    __device__ void add(RowSums other, T scale) {
        const T top = larger(peak, other.peak);
        raise(top, scale);
        other.raise(top, scale);
        add_relative(other);
    }

    // Multiplies all similarities.
    __device__ void multiply(T norm) {
        for (T* of : {&peak, &best_negative, &best_positive}) {
            if (*of != T(kLowest)) *of *= norm;  // of none, it stays that
        }
        positives *= norm;
        dot *= norm;
    }

    template <typename F>
    __device__ static void for_each_field(F f) {
        f(&RowSums::peak, 0);
        f(&RowSums::sum, 1);
        f(&RowSums::positive_sum, 2);
        f(&RowSums::positives, 3);
        f(&RowSums::count, 4);
        f(&RowSums::dot, 5);
        f(&RowSums::best_negative, 6);
        f(&RowSums::best_positive, 7);
    }
};

// Bytes of shared memory.
template <typename Tile>
int forward_shared(int stride) {
    return stages_of<Tile>(nullptr, stride).bytes() + Norms<Tile>::bytes;
}

// What a tile may add to a row before the row's peak is raised to its largest similarity so far:
// far from what float32 holds, even if every tile adds as much.
constexpr float kMostOfTile = 1 << 10;

// Sums of a row over one tile: s are its products with the columns, whose norms and roles are
// given.
template <typename Tile, bool labelled, bool stats>
struct TileRow {
    using T = typename Tile::Number;
    const T (&s)[Tile::C];
    const Norms<Tile>& norms;
    Moving<Tile> tile;
    const Role (&roles)[Tile::C];

    __device__ T norm(int c) const { return norm_at<Tile>(norms, tile, Tile::column(c)); }

    // The similarity to a column, but for the norm of the row.
    __device__ T similarity(int c) const {
        if constexpr (kHasNorms<typename Tile::Word>) return __fmul_rn(s[c], norm(c));
        return s[c];
    }

    // By how much it is above a peak. Where their mean is wanted, equal ones are so by nothing;
    // elsewhere one rounding is enough.
    __device__ T above(T peak, int c) const {
        if constexpr (kHasNorms<typename Tile::Word> && !stats) {
            return __fmaf_rn(s[c], norm(c), -peak);
        }
        return similarity(c) - peak;
    }

    __device__ T largest(T peak) const {
#pragma unroll
        for (int c = 0; c < Tile::C; ++c) {
            if (roles[c] != Role::none) peak = larger(peak, similarity(c));
        }
        return peak;
    }

    __device__ RowSums<T> relative_to(T peak, T scale) const {
        RowSums<T> found;
        found.peak = peak;
#pragma unroll
        for (int c = 0; c < Tile::C; ++c) {
            if (roles[c] == Role::none) continue;
            const T shift = above(peak, c), exponential = exp2_of(shift * scale);
            if (stats) found.dot += exponential * shift;
            if (labelled && roles[c] == Role::positive) {
                found.positive_sum += exponential;
                found.positives += shift;
                found.count += 1;
                if (stats) found.best_positive = larger(found.best_positive, similarity(c));
            } else {
                found.sum += exponential;
                if (stats) found.best_negative = larger(found.best_negative, similarity(c));
            }
        }
        return found;
    }
};

// Block (x, y) sums over the y-th share of the moving rows for 64 still rows. sums: (fields,
// splits, padded); positive: (still rows,), s of the single positive.
template <typename Tile, bool labelled, bool stats>
__global__ void __launch_bounds__(Tile::threads, Tile::forward_blocks)
    contrastive_forward(Pass<typename Tile::Word> pass, typename Tile::Number* sums,
                        typename Tile::Number* positive) {
    using T = typename Tile::Number;
    LELKERN_DYNAMIC_SHARED(char, memory);
    const int i0 = blockIdx.x * kTile;
    const T scale = scale_of<T>(pass.temperature, pass.temperature_element);
    const RowNorms<Tile> kept_norms(pass);
    // Where more is summed, registers are wanted for that.
    const auto norm = [&](int r) {
        return labelled || stats ? norm_of_row<Tile>(pass, r) : kept_norms.of[r];
    };
    const PlainTiles plain(pass);
    RowSums<T> rows[Tile::R];  // but for the norms of the rows
    const auto stages = stages_of<Tile>(memory, pass.stride);
    const Norms<Tile> norms{pass.moving.inverse_norm, memory + stages.bytes()};
    const auto add_tile = [&](Moving<Tile> tile, const auto& s, const auto& role_of_pair) {
#pragma unroll
        for (int r = 0; r < Tile::R; ++r) {
            const int i = i0 + Tile::row(r);
            const T norm_of_row = norm(r), scale_of_row = scale * norm_of_row;
            Role roles[Tile::C];
            const TileRow<Tile, labelled, stats> row{s[r], norms, tile, roles};
#pragma unroll
            for (int c = 0; c < Tile::C; ++c) {
                roles[c] = role_of_pair(i, tile.row(Tile::column(c)));
                if (roles[c] == Role::positive && !labelled) {
                    positive[i] = row.similarity(c) * norm_of_row;
                    roles[c] = Role::none;
                }
            }
            if constexpr (labelled || stats) {
                rows[r].raise(row.largest(rows[r].peak), scale_of_row);
                rows[r].add_relative(row.relative_to(rows[r].peak, scale_of_row));
            } else {
                // Relative to the peak of earlier tiles; and once more, where it has become too
                // low, which sums tell without a comparison for each similarity.
                RowSums<T> found;
#pragma unroll 1
                for (bool raised = false;; raised = true) {
                    found = row.relative_to(rows[r].peak, scale_of_row);
                    const bool fits = found.sum < T(kMostOfTile) && rows[r].peak > T(kLowest);
                    if (fits || raised) break;
                    rows[r].raise(row.largest(rows[r].peak), scale_of_row);
                }
                rows[r].sum += found.sum;  // all that there is
            }
        }
    };
    for_each_tile<Tile>(
        pass, stages, norms, [](Moving<Tile>) {}, [](Moving<Tile>) {},
        [&](Moving<Tile> tile, const auto& s) {
            with_roles<labelled>(pass, plain, tile.row(0),
                                 [&](const auto& role) { add_tile(tile, s, role); });
        });
    const int padded = pass.still.padded;
#pragma unroll
    for (int r = 0; r < Tile::R; ++r) {
        rows[r].multiply(norm(r));
#pragma unroll
        for (int lanes = Tile::row_lanes / 2; lanes > 0; lanes /= 2) {
            RowSums<T> other;
            RowSums<T>::for_each_field([&](auto field, int) {
                other.*field = __shfl_xor_sync(~0u, rows[r].*field, lanes);
            });
            rows[r].add(other, scale);
        }
        if (threadIdx.x % Tile::row_lanes != 0) continue;
        RowSums<T>::for_each_field([&](auto field, int number) {
            const int64_t row = static_cast<int64_t>(number) * pass.splits + blockIdx.y;
            sums[row * padded + i0 + Tile::row(r)] = rows[r].*field;
        });
    }
}

// Losses of the still rows from the sums of all shares. labelled: positives are those by label.
// losses, log_sum_exp and, unless null, slope, accuracy, entropy and, of positives by label,
// counts: (still rows,).
template <typename T>
__global__ void __launch_bounds__(kSharesThreads, 2)  // or a few registers would be spilled
    contrastive_finish(const T* sums, const T* positive, bool labelled, int count, int padded,
                       int splits, double rounding, const void* temperature, Element element,
                       bool decoupled, T* losses, double* log_sum_exp, double* slope, T* accuracy,
                       T* entropy, int* counts) {
    const double scale = scale_of<T>(temperature, element), beta = scale * kLn2;
    RowSums<double> row = of_all_shares<RowSums>(
        sums, padded, splits, [&](auto& all, const auto& share) { all.add(share, scale); });
    const int i = row_of_lane();
    if (threadIdx.x >= kWarp || i >= count) return;
    const double positives = labelled ? row.count : 1;
    if (counts != nullptr) counts[i] = static_cast<int>(positives);
    // The similarity of its positive, or their mean one, less its peak.
    const double own = labelled ? row.positives / positives : positive[i] - row.peak;
    const double all = row.sum + row.positive_sum;
    double loss;
    if (labelled && positives != 1) {
        loss = positives == 0 ? 0 * all : log(all) - beta * own;
        log_sum_exp[i] = log(all) + beta * row.peak;
    } else {
        // log of (sum over the negatives) / exp(positive), which is the decoupled loss; its
        // softplus is the other, and keeps its relative accuracy when the loss is nearly zero. A
        // row without negatives: log 0.
        const double x = log(row.sum) - beta * own;
        if (decoupled) {
            loss = x;
            log_sum_exp[i] = log(row.sum) + beta * row.peak;
        } else {
            loss = x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
            log_sum_exp[i] = beta * (labelled ? row.peak + own : positive[i]) + loss;
        }
    }
    losses[i] = static_cast<T>(loss);
    if (slope != nullptr) {
        // The mean similarity of the candidates under the softmax, less that of the positives. Of a
        // single positive that is no label's, the others' mean one, times their probability.
        if (labelled) {
            slope[i] = positives == 0 ? 0 * all : row.dot / all - own;
        } else {
            const double share = decoupled ? 1 : -expm1(-loss);
            slope[i] = row.sum == 0 ? 0 * own : share * (row.dot / row.sum - own);
        }
    }
    if (accuracy == nullptr) return;
    // A given positive is computed apart: what equals a negative does so but for rounding.
    const double best = labelled ? row.best_positive : positive[i];
    accuracy[i] = best > row.best_negative + rounding * fabs(row.best_negative);
    if (!labelled) row.add({positive[i], 1, 0, 0, 0, 0, kLowest, kLowest}, scale);
    const double total = row.sum + row.positive_sum;
    entropy[i] = all == 0 ? T(0) : static_cast<T>(log(total) - beta * row.dot / total);
}

// similarity[i] = that of row i with its given positive.
template <typename Word>
__global__ void __launch_bounds__(kPrepareThreads)
    contrastive_given(Side<Word> rows, Side<Word> given, int stride, NumberOf<Word>* similarity) {
    const int i = row_of_warp(), lane = lane_of_warp();
    if (i >= rows.count) return;
    double sum = 0;
    for (int d = lane; d < stride; d += kWarp) {
        sum += at(rows, i, stride, d) * at(given, i, stride, d);
    }
    sum = sum_of_warp(sum);
    if (lane == 0) similarity[i] = static_cast<NumberOf<Word>>(sum);
}

}  // namespace lelkern::contrastive::cuda
