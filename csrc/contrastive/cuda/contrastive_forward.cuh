// The sums of exponentials of every row, and what becomes of them.
#pragma once

#include "contrastive/cuda/contrastive_rows.cuh"
#include "contrastive/cuda/contrastive_tiles.cuh"

namespace lelkern::contrastive::cuda {

// What is summed for a row, exponentials relative to its largest similarity so far.
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

    __device__ void add(RowSums other, T scale) {
        const T top = larger(peak, other.peak);
        raise(top, scale);
        other.raise(top, scale);
        sum += other.sum;
        positive_sum += other.positive_sum;
        positives += other.positives;
        count += other.count;
        dot += other.dot;
        best_negative = larger(best_negative, other.best_negative);
        best_positive = larger(best_positive, other.best_positive);
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

template <typename Tile>
__host__ __device__ Stages<Tile::stages> stages_of(char* memory, int stride) {
    return {memory, stride * static_cast<int>(sizeof(typename Tile::Word)) / kRowBytes};
}

template <typename Tile>
using Norms = Beside<float, Tile::stages>;

// Calls f(tile, s) with the similarities of the block's still rows with every tile of its share of
// the moving ones. load(tile) starts copies of what belongs to a tile besides words, which have
// come when f is called. start(tile) is called earlier, when what lies in shared memory of the last
// tile is no longer read, and may start copies of its own, which wait_for_start waits for.
template <typename Tile, typename Load, typename Start, typename F>
__device__ void for_each_tile(const Pass<typename Tile::Word>& pass,
                              const Stages<Tile::stages>& stages, const Norms<Tile>& norms,
                              const Load& load, const Start& start, const F& f) {
    using T = typename Tile::Number;
    const auto& side = pass.moving;
    const int i0 = blockIdx.x * kTile, tiles = side.padded / kTile;
    const int first = blockIdx.y * tiles / pass.splits,
              last = (blockIdx.y + 1) * tiles / pass.splits;
    // What is loaded next.
    int next_tile = first, next_chunk = 0, next_stage = 0;
    const auto load_next = [&] {
        if (next_tile == last) return;
        if (!stages.stays() || next_tile == first) {
            Stages<Tile::stages>::template load<Tile::threads>(stages.still(next_chunk, next_stage),
                                                               pass.still.words, pass.stride, i0,
                                                               next_chunk);
        }
        Stages<Tile::stages>::template load<Tile::threads>(
            stages.moving(next_stage), side.words, pass.stride, next_tile * kTile, next_chunk);
        if (next_chunk == 0) {
            norms.template load<Tile::threads>(next_tile);
            load(next_tile);
        }
        if (++next_chunk == stages.chunks) {
            next_chunk = 0;
            ++next_tile;
        }
        if (++next_stage == Tile::stages) next_stage = 0;
    };
    for (int k = 1; k < Tile::stages; ++k) {
        load_next();
        cp_async_commit();
    }
    int stage = 0;
    for (int tile = first; tile < last; ++tile) {
        T s[Tile::R][Tile::C] = {};
        for (int chunk = 0; chunk < stages.chunks; ++chunk) {
            cp_async_wait<Tile::stages - 2>();
            __syncthreads();
            load_next();
            if (chunk == 0) start(tile);
            cp_async_commit();
            Tile::multiply(stages.still(chunk, stage), stages.moving(stage), s);
            if (++stage == Tile::stages) stage = 0;
        }
        if (norms.items != nullptr) {
            float of_rows[Tile::R];
#pragma unroll
            for (int r = 0; r < Tile::R; ++r) {
                of_rows[r] = pass.still.inverse_norm[i0 + Tile::row(r)];
            }
#pragma unroll
            for (int c = 0; c < Tile::C; ++c) {
                const float norm = norms.at(tile, Tile::column(c));
#pragma unroll
                for (int r = 0; r < Tile::R; ++r) s[r][c] *= of_rows[r] * norm;
            }
        }
        f(tile, s);
    }
}

// Waits for the copies of start(). Each chunk but the first began others after them, and rows of as
// many chunks as there are stages have waited for these already.
template <int stages>
__device__ void wait_for_start(const Stages<stages>& of) {
    static_assert(stages <= 3);
    if (of.chunks == 1) {
        cp_async_wait<0>();
    } else if (of.chunks < stages) {
        cp_async_wait<1>();
    }
}

// Bytes of shared memory.
template <typename Tile>
int forward_shared(int stride) {
    return stages_of<Tile>(nullptr, stride).bytes() + Norms<Tile>::bytes;
}

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
    RowSums<T> rows[Tile::R];
    // Of one tile, so that long sums are not made of single terms.
    const auto add_tile = [&](int j0, const auto& s, const auto& role_of_pair) {
#pragma unroll
        for (int r = 0; r < Tile::R; ++r) {
            const int i = i0 + Tile::row(r);
            Role roles[Tile::C];
            T peak = rows[r].peak;
#pragma unroll
            for (int c = 0; c < Tile::C; ++c) {
                roles[c] = role_of_pair(i, j0 + Tile::column(c));
                if (roles[c] == Role::positive && !labelled) {
                    positive[i] = s[r][c];
                    roles[c] = Role::none;
                }
                if (roles[c] != Role::none) peak = larger(peak, s[r][c]);
            }
            rows[r].raise(peak, scale);
            T sum = 0, positive_sum = 0, positives = 0, count = 0, dot = 0;
#pragma unroll
            for (int c = 0; c < Tile::C; ++c) {
                if (roles[c] == Role::none) continue;
                const T shift = s[r][c] - peak, exponential = exp2_of(shift * scale);
                if (stats) dot += exponential * shift;
                if (labelled && roles[c] == Role::positive) {
                    positive_sum += exponential;
                    positives += shift;
                    count += 1;
                    if (stats) rows[r].best_positive = larger(rows[r].best_positive, s[r][c]);
                } else {
                    sum += exponential;
                    if (stats) rows[r].best_negative = larger(rows[r].best_negative, s[r][c]);
                }
            }
            rows[r].sum += sum;
            if (stats) rows[r].dot += dot;
            if (labelled) {
                rows[r].positive_sum += positive_sum;
                rows[r].positives += positives;
                rows[r].count += count;
            }
        }
    };
    const auto stages = stages_of<Tile>(memory, pass.stride);
    const Norms<Tile> norms{pass.moving.inverse_norm, memory + stages.bytes()};
    for_each_tile<Tile>(
        pass, stages, norms, [](int) {}, [](int) {},
        [&](int tile, const auto& s) {
            const int j0 = tile * kTile;
            with_roles<labelled>(pass, i0, j0, [&](const auto& role) { add_tile(j0, s, role); });
        });
    const int padded = pass.still.padded;
#pragma unroll
    for (int r = 0; r < Tile::R; ++r) {
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

constexpr int kFinishThreads = 128;

// Losses of the still rows from the sums of all shares. counts: of positives by label, or null.
// losses, log_sum_exp and, unless null, slope, accuracy and entropy: (still rows,).
template <typename T>
__global__ void __launch_bounds__(kFinishThreads)
    contrastive_finish(const T* sums, const T* positive, const int* counts, int count, int padded,
                       int splits, double rounding, const void* temperature, Element element,
                       bool decoupled, T* losses, double* log_sum_exp, double* slope, T* accuracy,
                       T* entropy) {
    const int i = blockIdx.x * kFinishThreads + threadIdx.x;
    if (i >= count) return;
    const double scale = scale_of<T>(temperature, element), beta = scale * kLn2;
    RowSums<double> row;
    for (int split = 0; split < splits; ++split) {
        RowSums<T> part;
        RowSums<T>::for_each_field([&](auto field, int number) {
            part.*field = sums[(static_cast<int64_t>(number) * splits + split) * padded + i];
        });
        row.add({part.peak, part.sum, part.positive_sum, part.positives, part.count, part.dot,
                 part.best_negative, part.best_positive},
                scale);
    }
    const bool labelled = counts != nullptr;
    const int positives = labelled ? counts[i] : 1;
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
