// Gradients of rows that are compared with themselves, from half of the similarities: as G_ij =
// G_ji, a tile of them serves the rows on both of its sides.
//
// Several blocks then add to the gradient of a row, in whole numbers, so that their order is of no
// consequence.
#pragma once

#include "contrastive/cuda/contrastive_backward.cuh"
#include "contrastive/cuda/contrastive_fixed_point.cuh"

namespace lelkern::contrastive::cuda {

// Tile t of a row of tiles that block x starts is (x, (x + t) mod tiles): each pair of tiles once.
__host__ __device__ inline int symmetric_tiles(int tiles, int x) {
    return (tiles + 1) / 2 + (tiles % 2 == 0 && x < tiles / 2);
}

// The number at place `lane % 4` of each of four neighbours' vectors, in the order of the
// neighbours: so that numbers which follow each other in memory belong to neighbours.
__device__ inline void transpose_among_four(float (&x)[4]) {
#pragma unroll
    for (int step = 1; step < 4; step *= 2) {
        const bool upper = threadIdx.x & step;
#pragma unroll
        for (int v = 0; v < 4; ++v) {
            if (v & step) continue;
            const float received = __shfl_xor_sync(~0u, upper ? x[v] : x[v + step], step);
            if (upper) {
                x[v] = received;
            } else {
                x[v + step] = received;
            }
        }
    }
}

// Adds four features from `first` on, which follow those of the neighbour before, unless they are
// none of the `there` that the row has.
__device__ inline void add_features(const FixedPoint& to, int64_t row, int first, int there,
                                    float (&x)[4]) {
    transpose_among_four(x);
    if (first >= there) return;
    const int quad = first / 16 * 16 + threadIdx.x % 4;
#pragma unroll
    for (int v = 0; v < 4; ++v) to.add(row + quad + 4 * v, x[v]);
}

using SymmetricTile = FmaTile<float>;
using SymmetricSlab = Slab<float, SymmetricTile::features>;

constexpr int kSymmetricShared = 2 * SymmetricSlab::bytes + SymmetricTile::Product::scratch_bytes;

// The transpose of weights (64, columns) times the slab of the still rows: a warp has four moving
// rows of all features.
__device__ inline void add_columns(const char* scratch, const SymmetricSlab& still, int j0,
                                   int stride, int d0, int there, const FixedPoint& to) {
    using V = Vector<float>;
    using Product = SymmetricTile::Product;
    static_assert(Product::columns * kWarp == SymmetricTile::threads * 4);
    static_assert(SymmetricTile::features == kWarp * V::size);
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    float sums[4][V::size] = {};
#pragma unroll 4
    for (int i = 0; i < kTile; ++i) {
        const V w = *reinterpret_cast<const V*>(scratch + i * Product::pitch + warp * 16);
        const V u = reinterpret_cast<const V*>(still.row(i))[lane];
#pragma unroll
        for (int c = 0; c < 4; ++c) {
#pragma unroll
            for (int v = 0; v < V::size; ++v) sums[c][v] += w.at[c] * u.at[v];
        }
    }
#pragma unroll
    for (int c = 0; c < 4; ++c) {
        const int64_t row = static_cast<int64_t>(j0 + warp * 4 + c) * stride + d0;
        add_features(to, row, lane * V::size, there, sums[c]);
    }
}

// Block (x, y, z) takes the y-th share of the tiles that block x starts, and adds features [z, z +
// 1) 128 of the gradients on both sides of them. to: (padded, stride).
template <bool labelled>
__global__ void __launch_bounds__(SymmetricTile::threads, SymmetricTile::blocks)
    contrastive_symmetric(Pass<float> pass, Weights<float> weights, FixedPoint to) {
    using Tile = SymmetricTile;
    constexpr int threads = Tile::threads, features = Tile::features;
    LELKERN_DYNAMIC_SHARED(char, memory);
    const SymmetricSlab still{memory}, moving{memory + SymmetricSlab::bytes};
    char* const scratch = moving.memory + SymmetricSlab::bytes;
    const float* const words = pass.still.words;
    const int stride = pass.stride, slabs = (stride + features - 1) / features;
    const int tiles = pass.still.padded / kTile, own = symmetric_tiles(tiles, blockIdx.x);
    const int first = blockIdx.y * own / pass.splits, last = (blockIdx.y + 1) * own / pass.splits;
    const int i0 = blockIdx.x * kTile, d0 = blockIdx.z * features;
    const int there = min(features, stride - d0);
    // Its own features once more in the end, for the gradients, unless they are the last ones.
    const int steps = slabs + (d0 + features < stride);
    const float scale = scale_of<float>(pass.temperature, pass.temperature_element);
    const Operands operands = Tile::operands<SymmetricSlab::pitch>();
    Tile::Product product;
    if (stride % features != 0) {
        still.clear<threads>();
        moving.clear<threads>();
    }
    for (int t = first; t < last; ++t) {
        const int j0 = (blockIdx.x + t) % tiles * kTile;
        float s[Tile::R][Tile::C] = {};
        // In the order of the forward pass, so that similarities have its bits: their probabilities
        // add up to 1 at any temperature.
        for (int step = 0; step < steps; ++step) {
            const int d = step < slabs ? step * features : d0;
            __syncthreads();
            if (slabs > 1 || t == first) still.load<threads>(words, stride, i0, d);
            moving.load<threads>(words, stride, j0, d);
            cp_async_commit();
            cp_async_wait<0>();
            __syncthreads();
            if (step < slabs) {
                Tile::multiply<SymmetricSlab::pitch>(still.memory + operands.still,
                                                     moving.memory + operands.moving, s,
                                                     min(features, stride - d) * 4);
            }
        }
        Tile::TileWeights of_tile;
        int i = i0;
        keep(i);  // and not, in registers, what follows from it
        with_roles<labelled>(pass, PlainTiles(pass), j0, [&](const auto& role_of_pair) {
#pragma unroll
            for (int r = 0; r < Tile::R; ++r) {
                const int row = i + Tile::row(r);
                const RowLoss<float> own = weights.rows[row];
                const auto weight = [&](int c) {
                    const int column = j0 + Tile::column(c);
                    const RowLoss<float> other = weights.rows[column];
                    const Role role = role_of_pair(row, column);
                    return gradient_of<labelled>(role, weights, own, row, s[r][c] - own.peak,
                                                 scale) +
                           gradient_of<labelled>(role, weights, other, column, s[r][c] - other.peak,
                                                 scale);
                };
#pragma unroll
                for (int c = 0; c < Tile::C; c += 2) {
                    of_tile.put(r, c, weight(c), weight(c + 1));
                }
            }
        });
#pragma unroll
        for (int part = 0; part < Tile::Product::parts; ++part) {
            if (part > 0) __syncthreads();
            Tile::Product::share(of_tile, scratch, part);
            __syncthreads();
            product.multiply(of_tile, scratch, moving, part);
            if (j0 != i0) {
                add_columns(scratch, still, j0 + part * Tile::Product::columns, stride, d0, there,
                            to);
            }
        }
    }
#pragma unroll
    for (int r = 0; r < Tile::R; ++r) {
#pragma unroll
        for (int n = 0; n < Tile::Product::vectors; ++n) {
            const int64_t row = static_cast<int64_t>(i0 + Tile::row(r)) * stride + d0;
            add_features(to, row, Tile::Product::first_feature(n), there, product.sums[r][n]);
        }
    }
}

}  // namespace lelkern::contrastive::cuda
