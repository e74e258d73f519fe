// How a block gathers the gradients of its still rows: the weights of every tile times its moving
// rows, features [z, z + 1) Tile::features of them for block (x, y, z).
#pragma once

#include "contrastive/cuda/contrastive_paired.cuh"
#include "contrastive/cuda/contrastive_stream.cuh"
#include "contrastive/cuda/contrastive_tiles.cuh"

namespace lelkern::contrastive::cuda {

// Similarities come from chunks of both sides; a slab of the moving rows follows them.
template <typename Tile>
class ChunkedGather {
    using Word = typename Tile::Word;
    using Product = typename Tile::Product;
    using TileSlab = Slab<Word, Tile::features>;

  public:
    // Of shared memory.
    __host__ __device__ static int bytes(int stride) {
        return stages_of<Tile>(nullptr, stride).bytes() + TileSlab::bytes + Product::scratch_bytes;
    }

    template <typename Load, typename Weigh>
    __device__ static Product sums(const Pass<Word>& pass, char* memory, const Norms<Tile>& norms,
                                   const Load& load, const Weigh& weigh) {
        const auto stages = stages_of<Tile>(memory, pass.stride);
        const TileSlab slab{memory + stages.bytes()};
        char* const scratch = slab.memory + TileSlab::bytes;
        const int d0 = blockIdx.z * Tile::features;
        Product product;
        if (d0 + Tile::features > pass.stride) slab.template clear<Tile::threads>();
        typename Tile::TileWeights weights;
        for_each_tile<Tile>(
            pass, stages, norms, load,
            [&](Moving<Tile> tile) {
                slab.template load<Tile::threads>(pass.moving.words, pass.stride, tile.row(0), d0);
            },
            [&](Moving<Tile> tile, const auto& s) {
                weigh(tile, s, weights);
#pragma unroll
                for (int part = 0; part < Product::parts; ++part) {
                    if (part > 0) __syncthreads();
                    Product::share(weights, scratch, part);
                    wait_for_start(stages);
                    __syncthreads();
                    product.multiply(weights, scratch, slab, part);
                }
            });
        return product;
    }
};

template <typename Tile>
struct GatherOf {
    using type = ChunkedGather<Tile>;
};
template <typename W>
struct GatherOf<PairedMmaTile<W>> {
    using type = PairedGather<W>;
};
template <typename Tile>
using Gather = typename GatherOf<Tile>::type;

// Calls weigh(tile, s, weights) with the similarities, but for norms, of the block's still rows
// with every tile of its share of the moving ones, for the weights that they become. load(tile)
// starts copies of what belongs to a tile besides words. out: (splits, padded, stride).
template <typename Tile, typename Load, typename Weigh>
__device__ void gather(const Pass<typename Tile::Word>& pass, char* memory,
                       const Norms<Tile>& norms, const Load& load, const Weigh& weigh,
                       typename Tile::Number* out) {
    const auto product = Gather<Tile>::sums(pass, memory, norms, load, weigh);
    const int d0 = blockIdx.z * Tile::features;
    const int64_t row = static_cast<int64_t>(blockIdx.y) * pass.still.padded + blockIdx.x * kTile;
    product.store(out + row * pass.stride + d0, pass.stride, min(Tile::features, pass.stride - d0));
}

}  // namespace lelkern::contrastive::cuda
