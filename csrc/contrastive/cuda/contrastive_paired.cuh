// How pairs of warps gather gradients of rows of many features: see PairedMmaTile.
#pragma once

#include "contrastive/cuda/contrastive_stream.cuh"
#include "contrastive/cuda/contrastive_tiles.cuh"

namespace lelkern::contrastive::cuda {

// Two places in shared memory for a slab of features of 32 rows: one is used while the other fills.
// Slabs of the moving rows come tile by tile, the block's own one the last of a tile, as it is
// multiplied twice. Before a slab come those of the still rows' features, half of the rows each:
// once, if rows have no features besides, and they stay in registers.
template <typename Tile>
class SlabLoader {
    using Word = typename Tile::Word;
    static constexpr int slab_rows = Tile::moving_rows;
    static constexpr int row_bytes_of_slab = Tile::features * sizeof(Word);
    static constexpr int vectors = row_bytes_of_slab / 16;  // of a row, a thread each
    static constexpr int rows = Tile::threads / vectors;    // at a time
    static_assert(slab_rows % rows == 0 && Tile::threads % vectors == 0);

  public:
    static constexpr int pitch = row_bytes_of_slab + 16;
    static constexpr int slab_bytes = slab_rows * pitch;
    static constexpr int bytes = 2 * slab_bytes;
    static constexpr int parts = kTile / slab_rows;  // of the still rows

    // Of tiles [first, last).
    __device__ SlabLoader(const Pass<Word>& pass, char* memory, int first, int last)
        : pass_(pass), memory_(memory), last_(last), to_(first) {
        moving_ = place(pass.moving, to_ * slab_rows);
        move_on();
    }

    // How many slabs a row has.
    __device__ int slabs() const { return (pass_.stride + Tile::features - 1) / Tile::features; }

    // Waits for the slab that comes next, starts to copy the one after it, and returns where it is.
    template <typename Load>
    __device__ const char* next(const Load& load) {
        cp_async_wait<0>();
        __syncthreads();
        const char* const come = memory_ + place_;
        place_ = slab_bytes - place_;
        start(load);
        return come;
    }

    // Starts to copy the next slab, unless there is none; load(tile) belongs to the last one of a
    // tile.
    template <typename Load>
    __device__ void start(const Load& load) {
        copy_next(load);
        cp_async_commit();
    }

  private:
    template <typename Load>
    __device__ void copy_next(const Load& load) {
        if (to_ == last_) return;
        if (part_ < parts) {
            copy(place(pass_.still, blockIdx.x * kTile + part_ * slab_rows));
            ++part_;
            return;
        }
        copy(moving_);
        if (slabs() > 1) part_ = 0;
        const bool is_own = slab_ == static_cast<int>(blockIdx.z);
        move_on();
        if (!is_own) return;
        load({to_, to_ % 2});
        moving_ += slab_rows * row_bytes();
        ++to_;
    }

    __device__ static int row() { return threadIdx.x / vectors; }
    __device__ static int byte() { return threadIdx.x % vectors * 16; }
    __device__ int64_t row_bytes() const {
        return static_cast<int64_t>(pass_.stride) * static_cast<int>(sizeof(Word));
    }
    __device__ void move_on() { slab_ = slab_ + 1 < slabs() ? slab_ + 1 : 0; }

    // This thread's part of the first slab of rows.
    __device__ const char* place(const Side<Word>& side, int first_row) const {
        return reinterpret_cast<const char*>(side.words) + (first_row + row()) * row_bytes() +
               byte();
    }

    __device__ void copy(const char* from) const {
        const int first = slab_ * row_bytes_of_slab;
        char* to = memory_ + place_ + row() * pitch + byte();
        if (first + byte() >= static_cast<int>(row_bytes())) {  // rows have no such features
#pragma unroll 1
            for (int k = 0; k < slab_rows / rows; ++k) {
                *reinterpret_cast<Vector<float>*>(to + k * rows * pitch) = Vector<float>{};
            }
            return;
        }
        from += first;
#pragma unroll
        for (int k = 0; k < slab_rows / rows; ++k) {
            cp_async_16(to + k * rows * pitch, from);
            from += rows * row_bytes();
        }
    }

    const Pass<Word>& pass_;
    char* const memory_;
    const int last_;
    int to_;
    int slab_ = blockIdx.z, part_ = 0, place_ = 0;
    const char* moving_;  // this thread's part of the first slab of the tile
};

template <typename W>
class PairedGather {
    using Tile = PairedMmaTile<W>;
    using Product = typename Tile::Product;
    using Loader = SlabLoader<Tile>;
    static constexpr int steps = Tile::own_features / 16;  // of 16 features
    static constexpr int exchanged = 3 * 16 * Tile::threads;

  public:
    // Of shared memory.
    __host__ __device__ static int bytes(int) { return Loader::bytes + exchanged; }

    template <typename Load, typename Weigh>
    __device__ static Product sums(const Pass<W>& pass, char* memory, const Norms<Tile>& norms,
                                   const Load& load, const Weigh& weigh) {
        const int tiles = pass.moving.padded / Tile::moving_rows;
        const int first = blockIdx.y * tiles / pass.splits,
                  last = (blockIdx.y + 1) * tiles / pass.splits;
        Loader loader(pass, memory, first, last);
        const auto load_all = [&](Moving<Tile> tile) {
            norms.load(tile);
            load(tile);
        };
        char* const shared = memory + Loader::bytes;
        // Where in a slab the warp's own columns are, and the other one's.
        const int own = Tile::half() * columns_bytes, others = columns_bytes - own;
        int columns = columns_place(), rows = rows_place();
        keep(columns);
        keep(rows);
        Product product;
        uint32_t still[steps][4];
        loader.start(load_all);
        const int slabs = loader.slabs();
        for (int t = first; t < last; ++t) {
            const Moving<Tile> tile{t, t % 2};
            float s[2][4] = {}, s_others[2][4] = {};  // of 8 columns each
            const char* slab;
            int k = 0;
            do {
                if (t == first || slabs > 1) {
#pragma unroll
                    for (int part = 0; part < Loader::parts; ++part) {
                        hold(still, loader.next(load_all), part);
                    }
                }
                slab = loader.next(load_all);
                multiply(still, slab + columns + own, s);
                multiply(still, slab + columns + others, s_others);
            } while (++k < slabs);
#pragma unroll
            for (int n = 0; n < 2; ++n) put(shared, n, s_others[n]);
            __syncthreads();
            float sums[Tile::R][Tile::C];
#pragma unroll
            for (int n = 0; n < 2; ++n) {
                const auto rest = of_partner<float>(shared, n);
#pragma unroll
                for (int e = 0; e < 4; ++e) sums[e / 2][2 * n + e % 2] = s[n][e] + rest.at[e];
            }
            typename Tile::TileWeights weights;
            weigh(tile, sums, weights);
            put(shared, 2, weights.at[0][0]);
            product.multiply(weights.at[0], slab + rows + own);
            __syncthreads();
            const auto rest = of_partner<uint32_t>(shared, 2);
            const uint32_t others_weights[1][4] = {
                {rest.at[0], rest.at[1], rest.at[2], rest.at[3]}};
            product.multiply(others_weights, slab + rows + others);
        }
        return product;
    }

  private:
    static constexpr int columns_bytes = 16 * Loader::pitch;

    // Which byte of 16 rows of a slab a lane names to ldmatrix: as left operands and, transposed,
    // as right ones of the second product; and as right ones of the first.
    __device__ static int rows_place() {
        const int lane = Tile::lane();
        return lane % 16 * Loader::pitch + lane / 16 * 16 + first_byte();
    }
    __device__ static int columns_place() {
        const int lane = Tile::lane();
        return (lane / 16 * 8 + lane % 8) * Loader::pitch + lane / 8 % 2 * 16 + first_byte();
    }
    __device__ static int first_byte() {
        return Tile::first_feature() * static_cast<int>(sizeof(W));
    }

    // Takes the warp's still rows, if they are in this part of them, as left operands.
    __device__ static void hold(uint32_t (&still)[steps][4], const char* slab, int part) {
        const int row = Tile::row(0) / 16 * 16 - part * Tile::moving_rows;
        if (row < 0 || row >= Tile::moving_rows) return;
        const char* const from = slab + row * Loader::pitch + rows_place();
#pragma unroll
        for (int k = 0; k < steps; ++k) ldmatrix_x4(still[k], from + k * 32);
    }

    // Adds the products with 16 moving rows, of the features that the warp has.
    __device__ static void multiply(const uint32_t (&still)[steps][4], const char* rows,
                                    float (&s)[2][4]) {
#pragma unroll
        for (int k = 0; k < steps; ++k) {
            uint32_t both[4];
            ldmatrix_x4(both, rows + k * 32);
            const uint32_t b0[2] = {both[0], both[1]}, b1[2] = {both[2], both[3]};
            mma_16816(s[0], still[k], b0, W());
            mma_16816(s[1], still[k], b1, W());
        }
    }

    // Leaves four numbers for the same lane of the other warp of the pair, in one of three places.
    template <typename T>
    __device__ static void put(char* shared, int place, const T (&x)[4]) {
        reinterpret_cast<Vector<T>*>(shared)[place * Tile::threads + threadIdx.x] = {x[0], x[1],
                                                                                     x[2], x[3]};
    }
    template <typename T>
    __device__ static Vector<T> of_partner(const char* shared, int place) {
        return reinterpret_cast<const Vector<T>*>(
            shared)[place * Tile::threads + (threadIdx.x ^ 32)];
    }
};

}  // namespace lelkern::contrastive::cuda
