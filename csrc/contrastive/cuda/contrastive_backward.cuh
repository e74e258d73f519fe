// Gradients of the losses.
//
// With P_ij = exp(beta s_ij - log_sum_exp_i) the gradient with respect to similarity ij is
//     G_ij = g_i P_ij - g_i [j is the positive of i]   (+ the same with i and j exchanged)
// times beta, over the sides that have losses. The gradient of a still row is the sum of G_ij times
// the moving rows, which one block of threads gathers: no atomics, and always the same bits.
#pragma once

#include "contrastive/cuda/contrastive_fixed_point.cuh"
#include "contrastive/cuda/contrastive_forward.cuh"
#include "contrastive/cuda/contrastive_gather.cuh"
#include "contrastive/cuda/contrastive_upstream.cuh"

namespace lelkern::contrastive::cuda {

// What backward knows of a row that has a loss.
// P_ij = exp(beta (s_ij - peak_i) - rest_i), where beta peak_i + rest_i = log_sum_exp_i: a
// difference of near numbers is exact, and the large product is never rounded.
template <typename T>
struct alignas(16) RowLoss {
    T upstream = 0;
    T peak = 0;
    T rest = -T(kLowest);  // in units of ln 2; its exponentials are 0
    // g_i (1 - P_i,positive), where 1 - P is exact also when P is nearly 1; decoupled g_i.
    T missing = 0;
};

// Towards positives by label G_ij has `upstream` in the place of that of the row, and is less by
// `share`: g_i over their number or, of a single one, nothing and all that is missing.
template <typename T>
struct Towards {
    T upstream = 0, share = 0;
};

// Of all rows of a side, or null: it has no losses.
template <typename T>
struct Weights {
    RowLoss<T>* rows = nullptr;
    Towards<T>* positives = nullptr;

    __host__ __device__ explicit operator bool() const { return rows != nullptr; }
};

// Of the losses from number `first` on. counts: of positives by label, or null; scale: or null.
template <typename T>
__global__ void __launch_bounds__(kRowThreads)
    contrastive_weights(const T* grad, int64_t grad_stride, const T* losses,
                        const double* log_sum_exp, const int* counts, int first, int count,
                        const T* scale, const void* temperature, Element element, bool decoupled,
                        Weights<T> to, int padded) {
    const int i = blockIdx.x * kRowThreads + threadIdx.x;
    if (i >= padded) return;
    RowLoss<T> row;
    Towards<T> towards;
    const int positives = counts != nullptr && i < count ? counts[i] : 1;
    to.rows[i] = row;
    to.positives[i] = towards;
    // Without positives, or decoupled without negatives, its loss depends on nothing.
    if (i >= count || positives == 0 || log_sum_exp[first + i] == -INFINITY) return;
    const double beta = static_cast<double>(scale_of<T>(temperature, element)) * kLn2;
    const double g = static_cast<double>(grad[(first + i) * grad_stride]) * (scale ? *scale : T(1));
    const double lse = log_sum_exp[first + i];
    row.upstream = static_cast<T>(g);
    row.peak = static_cast<T>(lse / beta);
    row.rest = static_cast<T>((lse - beta * static_cast<double>(row.peak)) / kLn2);
    row.missing = static_cast<T>(decoupled ? g + 0 * lse  // nan stays
                                           : -g * expm1(-static_cast<double>(losses[first + i])));
    towards.upstream = positives == 1 ? T(0) : static_cast<T>(g);
    towards.share = positives == 1 ? row.missing : static_cast<T>(g / positives);
    to.rows[i] = row;
    to.positives[i] = towards;
}

// What the losses of one side, whose row is k, add to G_ij, where s_ij is `above` its peak.
template <bool labelled, typename T>
__device__ T gradient_of(Role role, const Weights<T>& side, const RowLoss<T>& row, int k, T above,
                         T scale) {
    const bool positive = role == Role::positive;
    if (positive && !labelled) return -side.rows[k].missing;  // so rare that no register holds it
    if (role == Role::none) return 0;
    const T p = exp2_of(above * scale - row.rest);
    if (!positive) return row.upstream * p;
    const Towards<T> towards = side.positives[k];
    return towards.upstream * p - towards.share;
}

// The roles of a thread's pairs of a tile, in one register: those of labels are free then.
template <typename Tile>
class PackedRoles {
  public:
    template <typename F>
    __device__ explicit PackedRoles(const F& role_of_pair) {
        static_assert(Tile::R * Tile::C * kBits <= 32);
#pragma unroll
        for (int r = 0; r < Tile::R; ++r) {
#pragma unroll
            for (int c = 0; c < Tile::C; ++c) {
                packed_ |= static_cast<int>(role_of_pair(r, c)) << place(r, c);
            }
        }
        keep(packed_);
    }

    __device__ Role operator()(int r, int c) const {
        return static_cast<Role>(packed_ >> place(r, c) & ((1 << kBits) - 1));
    }

  private:
    static constexpr int kBits = 2;
    __device__ static constexpr int place(int r, int c) { return kBits * (r * Tile::C + c); }

    int packed_ = 0;
};

template <typename Tile>
using RowLosses = Beside<Tile, RowLoss<typename Tile::Number>>;

template <typename Tile>
int backward_shared(int stride) {
    return Gather<Tile>::bytes(stride) + Norms<Tile>::bytes + RowLosses<Tile>::bytes;
}

// Block (x, y, z) adds G_ij times features [z, z + 1) Tile::features of the y-th share of the
// moving rows for 64 still rows. out: (splits, padded, stride).
template <typename Tile, bool labelled>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks)
    contrastive_backward(Pass<typename Tile::Word> pass, Weights<typename Tile::Number> still,
                         Weights<typename Tile::Number> moving, typename Tile::Number* out) {
    using T = typename Tile::Number;
    using Word = typename Tile::Word;
    LELKERN_DYNAMIC_SHARED(char, memory);
    const Norms<Tile> norms{pass.moving.inverse_norm, memory + Gather<Tile>::bytes(pass.stride)};
    const RowLosses<Tile> losses{moving.rows, norms.memory + norms.bytes};
    const int i0 = blockIdx.x * kTile;
    const T scale = scale_of<T>(pass.temperature, pass.temperature_element);
    const RowNorms<Tile> norm(pass);
    const PlainTiles plain(pass);
    // By how much a product, times the norm of its column, is above a peak times that of its row.
    const auto above = [&](T s, int r, T peak) {
        if constexpr (kHasNorms<Word>) return __fmaf_rn(s, norm.of[r], -peak);
        return s - peak;
    };
    // Weights from products.
    const auto weigh = [&](Moving<Tile> tile, const auto& s, auto& weights,
                           const auto& role_of_pair, bool of_still, bool of_moving) {
        RowLoss<T> own[Tile::R];  // not kept: registers are wanted for the second product
#pragma unroll
        for (int r = 0; r < Tile::R; ++r) {
            if (of_still) own[r] = still.rows[i0 + Tile::row(r)];
        }
        const auto weight = [&](int r, int c) {
            const int i = i0 + Tile::row(r), column = Tile::column(c), j = tile.row(column);
            const Role role = role_of_pair(r, c);
            const T norm_of_column = norm_at<Tile>(norms, tile, column);
            const T t = s[r][c] * norm_of_column;
            T g = 0;
            if (of_still) {
                g += gradient_of<labelled>(role, still, own[r], i, above(t, r, own[r].peak), scale);
            }
            if (of_moving) {
                const RowLoss<T>& other = losses.at(tile, column);
                g += gradient_of<labelled>(role, moving, other, j, above(t, r, other.peak), scale);
            }
            return g * norm_of_column;  // which is that of the row that it is going to multiply
        };
#pragma unroll
        for (int c = 0; c < Tile::C; c += 2) {
#pragma unroll
            for (int r = 0; r < Tile::R; ++r) {
                weights.put(r, c, weight(r, c), weight(r, c + 1));
            }
        }
    };
    // Which sides have losses is asked once for a tile, too.
    const auto weigh_plain = [&](Moving<Tile> tile, const auto& s, auto& weights) {
        if (still && moving) return weigh(tile, s, weights, AllNegative(), true, true);
        if (still) return weigh(tile, s, weights, AllNegative(), true, false);
        weigh(tile, s, weights, AllNegative(), false, true);
    };
    gather<Tile>(
        pass, memory, norms,
        [&](Moving<Tile> tile) {
            if (moving) losses.load(tile);
        },
        [&](Moving<Tile> tile, const auto& s, auto& weights) {
            with_roles<labelled>(pass, plain, tile.row(0), [&](const auto& role) {
                if constexpr (std::is_same_v<std::decay_t<decltype(role)>, AllNegative>) {
                    weigh_plain(tile, s, weights);
                } else {
                    const auto role_of_pair = [&](int r, int c) {
                        return role(i0 + Tile::row(r), tile.row(Tile::column(c)));
                    };
                    if constexpr (labelled && Tile::packs_roles) {
                        weigh(tile, s, weights, PackedRoles<Tile>(role_of_pair), bool(still),
                              bool(moving));
                    } else {
                        weigh(tile, s, weights, role_of_pair, bool(still), bool(moving));
                    }
                }
            });
        },
        out);
}

// A matrix of gradients, of which each row is written by one warp.
template <typename T>
struct RowsOut {
    T* parts[2];
    int64_t strides[2];
    int first;

    __device__ T* row(int i) const {
        return i < first ? parts[0] + i * strides[0] : parts[1] + (i - first) * strides[1];
    }
};

// Given positives and their gradients; no words: there are none.
template <typename T, typename Word>
struct GivenPositives {
    Side<Word> side;
    const double* factors;
    RowsOut<T> out;
};

// Gradients of packed rows: shares (splits, padded, stride), or their sum in fixed point.
template <typename T>
struct GradientSums {
    const T* shares;
    int splits, padded, stride;
    FixedPoint fixed;  // or null

    __device__ double at(int i, int d) const {
        const int64_t place = static_cast<int64_t>(i) * stride + d;
        if (fixed.sums != nullptr) return fixed.read(place);
        double sum = 0;
#pragma unroll 1
        for (int split = 0; split < splits; ++split) {
            sum +=
                static_cast<double>(shares[static_cast<int64_t>(split) * padded * stride + place]);
        }
        return sum;
    }
};

// From the gradients of the packed rows to those of the embeddings. Left to itself, the compiler
// makes room for five blocks and spills.
template <typename T, typename Word>
__global__ void __launch_bounds__(kPrepareThreads, 4)
    contrastive_project(GradientSums<NumberOf<Word>> sums, Side<Word> side, const double* factors,
                        Weights<NumberOf<Word>> weights, GivenPositives<T, Word> given, int D,
                        bool normalize, const NumberOf<Word>* scale, const void* temperature,
                        Element element, RowsOut<T> out) {
    using Number = NumberOf<Word>;
    const int i = row_of_warp(), lane = lane_of_warp();
    if (i >= side.count) return;
    const bool has_given = given.side.words != nullptr;
    const double missing = has_given ? static_cast<double>(weights.rows[i].missing) : 0;
    const int stride = sums.stride;
    const auto gradient = [&](int d) {
        const double sum = sums.at(i, d);
        return has_given ? sum - missing * at(given.side, i, stride, d) : sum;
    };
    double own = 0, positive = 0;
    for (int d = lane; d < D; d += kWarp) {
        const double u = at(side, i, stride, d);
        own += u * gradient(d);
        if (has_given) positive -= missing * u * at(given.side, i, stride, d);
    }
    own = sum_of_warp(own);
    positive = sum_of_warp(positive);
    T* to = out.row(i);
    const double beta = static_cast<double>(scale_of<Number>(temperature, element)) * kLn2;
    const double scaled = scale == nullptr ? beta : beta / static_cast<double>(*scale);
    const double factor = scaled * factors[i];
    for (int d = lane; d < D; d += kWarp) {
        const double u = at(side, i, stride, d);
        to[d] = rounded<T>(factor * (gradient(d) - (normalize ? own * u : 0)));
        if (has_given) {
            const double p = at(given.side, i, stride, d);
            const double projected = -missing * u - (normalize ? positive * p : 0);
            given.out.row(i)[d] = rounded<T>(scaled * given.factors[i] * projected);
        }
    }
}

}  // namespace lelkern::contrastive::cuda
