// Decisions: each pair of a row and a column is positive or not, whatever the others are, as in
// SigLIP. Their losses, and the gradients of these.
#pragma once

#include "contrastive/cuda/contrastive_forward.cuh"
#include "contrastive/cuda/contrastive_gather.cuh"
#include "contrastive/cuda/contrastive_upstream.cuh"

namespace lelkern::contrastive::cuda {

// From similarities to logits.
struct LogitsOf {
    const void *scale, *bias;
    Element scale_element, bias_element;
};

template <typename T>
struct Logits {
    T scale, bias;

    // The scale is nan unless it is a positive number.
    __device__ explicit Logits(const LogitsOf& of) {
        const double value = read_number(of.scale, of.scale_element);
        scale = static_cast<T>(value > 0 && std::isfinite(value) ? value : nan(""));
        bias = static_cast<T>(read_number(of.bias, of.bias_element));
    }

    // Of what is still to be multiplied by a norm to be a similarity.
    __device__ Logits times(T norm) const {
        Logits found = *this;
        found.scale *= norm;
        return found;
    }
};

__device__ inline float log1p_of(float x) { return log1pf(x); }
__device__ inline double log1p_of(double x) { return log1p(x); }

template <typename T>
struct Decision {
    T loss, slope;  // the slope: the derivative of the loss by the logit
};

// Of a pair of similarity s, or but for the norm that the logits have, which is no Role::none.
template <typename T>
__device__ Decision<T> decide(Role role, const Logits<T>& logits, T s) {
    const bool positive = role == Role::positive;
    const T x = s * logits.scale + logits.bias, against = positive ? -x : x;
    const T e = exp2_of(-fabs(against) * static_cast<T>(1 / kLn2));  // at most 1
    const T larger_share = 1 / (1 + e), sigmoid = against < 0 ? e * larger_share : larger_share;
    return {(against > 0 ? against : T(0)) + log1p_of(e), positive ? -sigmoid : sigmoid};
}

// What is summed for a row over its decisions.
template <typename T>
struct DecisionSums {
    T loss = 0, by_bias = 0, by_scale = 0;

    static constexpr int fields = 3;

    // Multiplies all similarities.
    __device__ void multiply(T norm) { by_scale *= norm; }

    __device__ void add(const DecisionSums& other) {
        loss += other.loss;
        by_bias += other.by_bias;
        by_scale += other.by_scale;
    }

    template <typename F>
    __device__ static void for_each_field(F f) {
        f(&DecisionSums::loss, 0);
        f(&DecisionSums::by_bias, 1);
        f(&DecisionSums::by_scale, 2);
    }
};

// Block (x, y) sums over the y-th share of the moving rows for 64 still rows. sums: (fields,
// splits, padded).
template <typename Tile, bool labelled>
__global__ void __launch_bounds__(Tile::threads, Tile::forward_blocks)
    siglip_forward(Pass<typename Tile::Word> pass, LogitsOf of, typename Tile::Number* sums) {
    using T = typename Tile::Number;
    LELKERN_DYNAMIC_SHARED(char, memory);
    const int i0 = blockIdx.x * kTile;
    const Logits<T> logits(of);
    const RowNorms<Tile> kept_norms(pass);
    // Registers are wanted for labels.
    const auto norm = [&](int r) {
        return labelled ? norm_of_row<Tile>(pass, r) : kept_norms.of[r];
    };
    const PlainTiles plain(pass);
    DecisionSums<T> rows[Tile::R];  // but for the norms of the rows
    const auto stages = stages_of<Tile>(memory, pass.stride);
    const Norms<Tile> norms{pass.moving.inverse_norm, memory + stages.bytes()};
    // Of one tile, so that long sums are not made of single terms.
    const auto add_tile = [&](Moving<Tile> tile, const auto& s, const auto& role_of_pair) {
#pragma unroll
        for (int r = 0; r < Tile::R; ++r) {
            const Logits<T> of_row = logits.times(norm(r));
            DecisionSums<T> sums_of_tile;
#pragma unroll
            for (int c = 0; c < Tile::C; ++c) {
                const Role role = role_of_pair(i0 + Tile::row(r), tile.row(Tile::column(c)));
                if (role == Role::none) continue;
                const T t = s[r][c] * norm_at<Tile>(norms, tile, Tile::column(c));
                const Decision<T> found = decide(role, of_row, t);
                sums_of_tile.add({found.loss, found.slope, found.slope * t});
            }
            rows[r].add(sums_of_tile);
        }
    };
    for_each_tile<Tile>(
        pass, stages, norms, [](Moving<Tile>) {}, [](Moving<Tile>) {},
        [&](Moving<Tile> tile, const auto& s) {
            with_roles<labelled>(pass, plain, tile.row(0),
                                 [&](const auto& role) { add_tile(tile, s, role); });
        });
#pragma unroll
    for (int r = 0; r < Tile::R; ++r) {
        rows[r].multiply(norm(r));
#pragma unroll
        for (int lanes = Tile::row_lanes / 2; lanes > 0; lanes /= 2) {
            DecisionSums<T> other;
            DecisionSums<T>::for_each_field([&](auto field, int) {
                other.*field = __shfl_xor_sync(~0u, rows[r].*field, lanes);
            });
            rows[r].add(other);
        }
        if (threadIdx.x % Tile::row_lanes != 0) continue;
        DecisionSums<T>::for_each_field([&](auto field, int number) {
            const int64_t row = static_cast<int64_t>(number) * pass.splits + blockIdx.y;
            sums[row * pass.still.padded + i0 + Tile::row(r)] = rows[r].*field;
        });
    }
}

// Adds the shares. losses: (rows,); slopes: (2, rows).
template <typename T>
__global__ void __launch_bounds__(kSharesThreads)
    siglip_finish(const T* sums, int count, int padded, int splits, T* losses, T* slopes) {
    const DecisionSums<double> row = of_all_shares<DecisionSums>(
        sums, padded, splits, [](auto& all, const auto& share) { all.add(share); });
    const int i = row_of_lane();
    if (threadIdx.x >= kWarp || i >= count) return;
    losses[i] = static_cast<T>(row.loss);
    slopes[i] = static_cast<T>(row.by_bias);
    slopes[static_cast<int64_t>(count) + i] = static_cast<T>(row.by_scale);
}

// upstream: (padded,), of the losses, times the scale of weights (see find_scale) or null.
template <typename T>
__global__ void __launch_bounds__(kRowThreads)
    siglip_upstream(const T* grad, int64_t grad_stride, int count, int padded, const T* scale,
                    T* upstream) {
    const int i = blockIdx.x * kRowThreads + threadIdx.x;
    if (i >= padded) return;
    const T factor = scale == nullptr ? T(1) : *scale;
    upstream[i] = i < count ? grad[i * grad_stride] * factor : T(0);
}

template <typename Tile>
using Upstreams = Beside<Tile, typename Tile::Number>;

template <typename Tile>
int siglip_backward_shared(int stride) {
    return Gather<Tile>::bytes(stride) + Norms<Tile>::bytes + Upstreams<Tile>::bytes;
}

// Slopes are at most 1, and are multiplied by this where they are rounded to 16 bits and no
// upstream gradient is with them, so that float16 holds 2^-38 of it.
template <typename Tile>
constexpr float kSlopeScale = Tile::tensor_cores ? 1 << 12 : 1;

// How many blocks of siglip_backward a multiprocessor has at a time: registers for ids, which are
// of 64 bits, are those of a third one.
template <typename Tile, bool labelled>
constexpr int kSiglipBlocks = labelled && Tile::blocks > 2 ? 2 : Tile::blocks;

// Block (x, y, z) adds slopes times features [z, z + 1) Tile::features of the y-th share of the
// moving rows for 64 still rows. moving: their upstream gradients, by which slopes are multiplied,
// or null: the still rows have losses, and what they gather is multiplied by theirs afterwards.
// out: (splits, padded, stride).
template <typename Tile, bool labelled>
__global__ void __launch_bounds__(Tile::threads, (kSiglipBlocks<Tile, labelled>))
    siglip_backward(Pass<typename Tile::Word> pass, LogitsOf of,
                    const typename Tile::Number* moving, typename Tile::Number* out) {
    using T = typename Tile::Number;
    LELKERN_DYNAMIC_SHARED(char, memory);
    const Norms<Tile> norms{pass.moving.inverse_norm, memory + Gather<Tile>::bytes(pass.stride)};
    const Upstreams<Tile> upstreams{moving, norms.memory + norms.bytes};
    const int i0 = blockIdx.x * kTile;
    const Logits<T> logits(of);
    const RowNorms<Tile> norm(pass);
    const PlainTiles plain(pass);
    // Weights from products.
    const auto weigh = [&](Moving<Tile> tile, const auto& s, auto& weights,
                           const auto& role_of_pair) {
        int first = i0;
        if constexpr (labelled) keep(first);  // and not, in registers, what follows from it
        const auto weight = [&](int r, int c) {
            const int column = Tile::column(c);
            const Role role = role_of_pair(first + Tile::row(r), tile.row(column));
            if (role == Role::none) return T(0);
            const T norm_of_column = norm_at<Tile>(norms, tile, column);
            // With the norm of the row that it is going to be multiplied by.
            T factor = moving ? upstreams.at(tile, column) : T(kSlopeScale<Tile>);
            factor *= norm_of_column;
            const T t = s[r][c] * norm_of_column;
            return decide(role, logits.times(norm.of[r]), t).slope * factor;
        };
#pragma unroll
        for (int c = 0; c < Tile::C; c += 2) {
#pragma unroll
            for (int r = 0; r < Tile::R; ++r) {
                weights.put(r, c, weight(r, c), weight(r, c + 1));
            }
        }
    };
    gather<Tile>(
        pass, memory, norms,
        [&](Moving<Tile> tile) {
            if (moving) upstreams.load(tile);
        },
        [&](Moving<Tile> tile, const auto& s, auto& weights) {
            with_roles<labelled>(pass, plain, tile.row(0),
                                 [&](const auto& role) { weigh(tile, s, weights, role); });
        },
        out);
}

// From the gradients of the packed rows, shares (splits, padded, stride), to those of the
// embeddings. upstream: of the rows where shares are still to be multiplied by it, or null; scale:
// of upstream gradients, or null; slope_scale: of slopes.
template <typename T, typename Word>
__global__ void __launch_bounds__(kPrepareThreads)
    siglip_project(const NumberOf<Word>* shares, int splits, int stride, Side<Word> side,
                   const double* factors, int D, bool normalize, const NumberOf<Word>* upstream,
                   const NumberOf<Word>* scale, double slope_scale, LogitsOf of, T* out,
                   int64_t out_stride) {
    const int i = row_of_warp(), lane = lane_of_warp();
    if (i >= side.count) return;
    const auto gradient = [&](int d) {
        double sum = 0;
#pragma unroll 1
        for (int split = 0; split < splits; ++split) {
            const int64_t row = static_cast<int64_t>(split) * side.padded + i;
            sum += static_cast<double>(shares[row * stride + d]);
        }
        return sum;
    };
    double own = 0;
    if (normalize) {
        for (int d = lane; d < D; d += kWarp) own += at(side, i, stride, d) * gradient(d);
        own = sum_of_warp(own);
    }
    double unit = scale == nullptr ? 1 : 1 / static_cast<double>(*scale);
    if (upstream != nullptr) unit *= static_cast<double>(upstream[i]) / slope_scale;
    const double factor = Logits<NumberOf<Word>>(of).scale * factors[i] * unit;
    T* const to = out + i * out_stride;
    for (int d = lane; d < D; d += kWarp) {
        const double along = normalize ? own * at(side, i, stride, d) : 0;
        to[d] = rounded<T>(factor * (gradient(d) - along));
    }
}

// The gradients of bias and scale, in turn, each of its type; where there is a third block, the
// scale of weights. slopes: (2, count).
template <typename T>
__global__ void __launch_bounds__(kUpstreamThreads)
    siglip_numbers(const T* grad, int64_t grad_stride, const T* slopes, int count, LogitsOf of,
                   void* to_bias, void* to_scale, T* scale_of_weights) {
    if (blockIdx.x == 2) {
        if constexpr (std::is_same_v<T, float>) {
            find_scale(grad, grad_stride, nullptr, nullptr, count, scale_of_weights);
        }
        return;
    }
    const bool of_scale = blockIdx.x == 1;
    const T* const own = slopes + (of_scale ? count : int64_t{0});
    const double sum = sum_of_products(grad, grad_stride, own, count);
    if (threadIdx.x != 0) return;
    write_number(of_scale ? to_scale : to_bias, of_scale ? of.scale_element : of.bias_element, sum);
}

}  // namespace lelkern::contrastive::cuda
