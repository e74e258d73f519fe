// How moving rows come to a block of threads: chunk by chunk, while the chunk before is multiplied.
#pragma once

#include "contrastive/cuda/contrastive_pass.cuh"
#include "shared/cuda/instructions.cuh"

namespace lelkern::contrastive::cuda {

// Chunks of kRowBytes of the rows of both sides: one is used, and the `stages` - 1 that follow it
// are under way. Still rows of two chunks at most stay where they are.
template <int stages>
struct Stages {
    static constexpr int side_bytes = kTile * kPitchBytes;
    char* memory;
    int chunks;  // of a row

    __host__ __device__ bool stays() const { return chunks <= 2; }
    __host__ __device__ int bytes() const { return (stages + (stays() ? 2 : stages)) * side_bytes; }

    __device__ char* moving(int stage) const { return memory + stage * side_bytes; }
    __device__ char* still(int chunk, int stage) const {
        return moving(stages + (stays() ? chunk : stage));
    }
    __device__ static int after(int stage) { return stage + 1 == stages ? 0 : stage + 1; }
};

template <typename Tile>
__host__ __device__ Stages<Tile::stages> stages_of(char* memory, int stride) {
    return {memory, stride * static_cast<int>(sizeof(typename Tile::Word)) / kRowBytes};
}

// A tile of so many moving rows, and where in shared memory is what is known of them besides their
// words.
template <int rows>
struct MovingRows {
    int tile, slot;

    __device__ int row(int column) const { return tile * rows + column; }
};
template <typename Tile>
using Moving = MovingRows<Tile::moving_rows>;

// What is known of each row of a moving tile besides its words, from arrays of all rows: of the
// tile at hand and of those under way.
template <typename Tile, typename Item>
struct Beside {
    static constexpr int tile_bytes = Tile::moving_rows * sizeof(Item);
    static constexpr int bytes = Tile::stages * tile_bytes;
    static_assert(tile_bytes % 16 == 0);
    const Item* items;  // of all rows
    char* memory;

    __device__ void load(Moving<Tile> to) const {
        constexpr int vectors = tile_bytes / 16;
#pragma unroll
        for (int first = 0; first < vectors; first += Tile::threads) {
            const int k = first + threadIdx.x;
            if (k >= vectors) break;
            cp_async_16(
                memory + (to.slot * vectors + k) * 16,
                reinterpret_cast<const char*>(items) + (to.tile * vectors + k) * int64_t{16});
        }
    }

    __device__ const Item& at(Moving<Tile> of, int row) const {
        return reinterpret_cast<const Item*>(memory + of.slot * tile_bytes)[row];
    }
};

// Where a thread's first row of either side is in a chunk, in bytes.
struct Operands {
    int still, moving;
};

template <typename Tile>
using Norms = Beside<Tile, float>;

// Starts the copies of a block's chunks, in the order in which they are used. What a thread needs
// for that moves on from chunk to chunk, so that none of it is computed anew.
template <typename Tile>
class Loader {
    using Word = typename Tile::Word;
    static constexpr int vectors = kRowBytes / 16;        // of a row, a thread each
    static constexpr int rows = Tile::threads / vectors;  // at a time
    static_assert(kTile % rows == 0 && Tile::threads % vectors == 0);

  public:
    // Of tiles [first, last). Starts to copy still rows that stay.
    __device__ Loader(const Pass<Word>& pass, const Stages<Tile::stages>& stages, int first,
                      int last)
        : pass_(pass), stages_(stages), last_(last), to_{first, 0} {
        moving_ = place(pass.moving, first);
        still_ = place(pass.still, blockIdx.x);
        if (!stages_.stays()) return;
        for (int chunk = 0; chunk < stages_.chunks; ++chunk) {
            copy(stages_.still(chunk, 0), place(pass.still, blockIdx.x) + chunk * kRowBytes);
        }
    }

    // The next chunk, unless there is none; load(tile) belongs to the first one of a tile.
    template <typename Load>
    __device__ void next(const Load& load) {
        if (to_.tile == last_) return;
        copy(stages_.moving(stage_), moving_);
        if (!stages_.stays()) copy_still();
        if (chunk_ == 0) load(to_);
        moving_ += kRowBytes;
        stage_ = stages_.after(stage_);
        if (++chunk_ < stages_.chunks) return;
        chunk_ = 0;
        moving_ += (kTile - 1) * row_bytes();
        to_ = {to_.tile + 1, stages_.after(to_.slot)};
    }

  private:
    __device__ static int row() { return threadIdx.x / vectors; }
    __device__ static int byte() { return threadIdx.x % vectors * 16; }
    __device__ int64_t row_bytes() const {
        return static_cast<int64_t>(pass_.stride) * static_cast<int>(sizeof(Word));
    }

    // This thread's part of the first chunk of a tile.
    __device__ const char* place(const Side<Word>& side, int tile) const {
        return reinterpret_cast<const char*>(side.words) + (tile * kTile + row()) * row_bytes() +
               byte();
    }

    // This thread's part of the still rows: tensor cores' tiles have no registers to keep it in.
    __device__ const char* still() const {
        return Tile::tensor_cores ? place(pass_.still, blockIdx.x) : still_;
    }

    __device__ void copy(char* to, const char* from) const {
        to += row() * kPitchBytes + byte();
#pragma unroll
        for (int k = 0; k < kTile / rows; ++k) {
            cp_async_16(to + k * rows * kPitchBytes, from + k * rows * row_bytes());
        }
    }

    // Not unrolled: where still rows stay, a branch around is less than as many copies of nothing.
    __device__ void copy_still() const {
        char* to = stages_.still(chunk_, stage_) + row() * kPitchBytes + byte();
        const char* from = still() + chunk_ * kRowBytes;
        static_assert(kTile / rows % 2 == 0);
#pragma unroll 1
        for (int k = 0; k < kTile / rows; k += 2) {
            cp_async_16(to, from);
            cp_async_16(to + rows * kPitchBytes, from + rows * row_bytes());
            to += 2 * rows * kPitchBytes;
            from += 2 * rows * row_bytes();
        }
    }

    const Pass<Word>& pass_;
    const Stages<Tile::stages> stages_;
    const int last_;
    Moving<Tile> to_;
    int chunk_ = 0, stage_ = 0;
    const char* moving_;  // this thread's part of the next chunk
    const char* still_;   // likewise of the first chunk of still rows
};

// Calls f(tile, s) with the products of the block's still rows with every tile of its share of the
// moving ones: similarities, but for norms. load(tile) starts copies of what belongs to a tile
// besides words, which have come when f is called. start(tile) is called earlier, when what lies in
// shared memory of the last tile is no longer read, and may start copies of its own, which
// wait_for_start waits for.
template <typename Tile, typename Load, typename Start, typename F>
__device__ void for_each_tile(const Pass<typename Tile::Word>& pass,
                              const Stages<Tile::stages>& stages, const Norms<Tile>& norms,
                              const Load& load, const Start& start, const F& f) {
    const int tiles = pass.moving.padded / kTile;
    const int first = blockIdx.y * tiles / pass.splits,
              last = (blockIdx.y + 1) * tiles / pass.splits;
    Loader<Tile> loader(pass, stages, first, last);
    const auto load_next = [&] {
        loader.next([&](Moving<Tile> tile) {
            if constexpr (kHasNorms<typename Tile::Word>) norms.load(tile);
            load(tile);
        });
    };
    for (int k = 1; k < Tile::stages; ++k) {
        load_next();
        cp_async_commit();
    }
    Operands operands = Tile::operands();
    if constexpr (Tile::tensor_cores) {
        keep(operands.still);
        keep(operands.moving);
    }
    int stage = 0;
    for (Moving<Tile> tile{first, 0}; tile.tile < last;
         tile = {tile.tile + 1, stages.after(tile.slot)}) {
        typename Tile::Number s[Tile::R][Tile::C] = {};
        const auto multiply = [&](int chunk) {
            cp_async_wait<Tile::stages - 2>();
            __syncthreads();
            load_next();
            if (chunk == 0) start(tile);
            cp_async_commit();
            Tile::multiply(stages.still(chunk, stage) + operands.still,
                           stages.moving(stage) + operands.moving, s);
            stage = stages.after(stage);
        };
        int first_chunk = 0;
        // Apart, so that no zeros have to be written for its sums.
        if constexpr (Tile::tensor_cores) multiply(first_chunk++);
        for (int chunk = first_chunk; chunk < stages.chunks; ++chunk) multiply(chunk);
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

// The norms of a thread's rows and of a column, by which products become similarities; 1 where rows
// have none.
template <typename Tile>
__device__ typename Tile::Number norm_of_row(const Pass<typename Tile::Word>& pass, int r) {
    if constexpr (kHasNorms<typename Tile::Word>) {
        return pass.still.inverse_norm[blockIdx.x * kTile + Tile::row(r)];
    }
    return 1;
}

template <typename Tile>
struct RowNorms {
    typename Tile::Number of[Tile::R];

    __device__ explicit RowNorms(const Pass<typename Tile::Word>& pass) {
#pragma unroll
        for (int r = 0; r < Tile::R; ++r) of[r] = norm_of_row<Tile>(pass, r);
    }
};

template <typename Tile>
__device__ typename Tile::Number norm_at(const Norms<Tile>& norms, Moving<Tile> tile, int column) {
    if constexpr (kHasNorms<typename Tile::Word>) return norms.at(tile, column);
    return 1;
}

}  // namespace lelkern::contrastive::cuda
