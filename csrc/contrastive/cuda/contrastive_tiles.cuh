// The two products of a tile: similarities of 64 still with 64 moving rows, over their features a
// chunk at a time; and weights of that shape times the moving rows.
//
// FmaTile multiplies and adds numbers one by one; MmaTile uses the tensor cores. Both say which
// numbers of the tile a thread holds: rows row(r), r < R, and columns column(c), c < C.
#pragma once

#include "contrastive/cuda/contrastive_stream.cuh"
#include "shared/cuda/instructions.cuh"

namespace lelkern::contrastive::cuda {

template <typename T>
struct alignas(16) Vector {
    static constexpr int size = 16 / sizeof(T);
    T at[size];
};

// Some features of all rows of a moving tile, for the second product.
template <typename Word, int features>
struct Slab {
    static constexpr int row_bytes = features * sizeof(Word);
    static constexpr int pitch = row_bytes + 16;
    static constexpr int bytes = kTile * pitch;
    char* memory;

    template <int threads>
    __device__ void clear() const {
        for (int k = threadIdx.x; k < bytes / 16; k += threads) {
            reinterpret_cast<Vector<float>*>(memory)[k] = Vector<float>{};
        }
    }

    // Starts to copy features [first, first + features) as far as rows have them.
    template <int threads>
    __device__ void load(const Word* words, int stride, int row, int first) const {
        constexpr int vectors = row_bytes / 16, rows = threads / vectors;
        static_assert(kTile % rows == 0 && threads % vectors == 0);
        const int there = (stride - first) * static_cast<int>(sizeof(Word)) / 16;
        const int r = threadIdx.x / vectors, v = threadIdx.x % vectors;
        if (v >= there) return;
        const int64_t step = static_cast<int64_t>(stride) * sizeof(Word);
        const char* from = reinterpret_cast<const char*>(words + first) + (row + r) * step + v * 16;
#pragma unroll
        for (int k = 0; k < kTile / rows; ++k) {
            cp_async_16(memory + (k * rows + r) * pitch + v * 16, from);
            from += rows * step;
        }
    }

    __device__ const char* row(int j) const { return memory + j * pitch; }
};

template <typename T>
struct FmaTile {
    using Word = T;
    using Number = T;
    static constexpr bool tensor_cores = false;
    static constexpr int threads = 256;
    static constexpr int blocks = sizeof(T) == 4 ? 2 : 1;  // at once on a multiprocessor
    static constexpr int forward_blocks = blocks;
    static constexpr int stages = 2;  // a chunk takes longer than the next one takes to come
    static constexpr int moving_rows = kTile;
    static constexpr int R = 4, C = 4;
    static constexpr int row_lanes = 16;  // neighbours in a warp that share their rows
    static constexpr int features = sizeof(T) == 4 ? 128 : 32;  // of a slab
    static constexpr bool packs_roles = false;

    __device__ static int row(int r) { return threadIdx.x / 16 * 4 + r; }
    __device__ static int column(int c) { return threadIdx.x % 16 + 16 * c; }

    // Of rows that are `pitch` bytes apart.
    template <int pitch = kPitchBytes>
    __device__ static Operands operands() {
        return {row(0) * pitch, column(0) * pitch};
    }

    // s += the product of one chunk, or of as many bytes of rows that are `pitch` bytes apart, from
    // the thread's first row of either side on.
    template <int pitch = kPitchBytes>
    __device__ static void multiply(const char* still, const char* moving, T (&s)[R][C],
                                    int bytes = kRowBytes) {
        using V = Vector<T>;
#pragma unroll 2
        for (int k = 0; k < bytes; k += 16) {
            V a[R], b[C];
#pragma unroll
            for (int r = 0; r < R; ++r) {
                a[r] = *reinterpret_cast<const V*>(still + r * pitch + k);
            }
#pragma unroll
            for (int c = 0; c < C; ++c) {
                b[c] = *reinterpret_cast<const V*>(moving + 16 * c * pitch + k);
            }
#pragma unroll
            for (int v = 0; v < V::size; ++v) {
#pragma unroll
                for (int r = 0; r < R; ++r) {
#pragma unroll
                    for (int c = 0; c < C; ++c) s[r][c] += a[r].at[v] * b[c].at[v];
                }
            }
        }
    }

    // A thread's weights of a tile.
    struct TileWeights {
        T at[R][C];

        // Of columns column(c) and column(c + 1), where c is even.
        __device__ void put(int r, int c, T first, T second) {
            at[r][c] = first;
            at[r][c + 1] = second;
        }
    };

    // Weights (64, 64) times a slab, `columns` of them in each part, for rows row(r) and features
    // first_feature(n) and those that follow it.
    struct Product {
        static constexpr int vectors = features / (16 * Vector<T>::size);
        static constexpr int parts = 2;
        static constexpr int columns = kTile / parts;
        static constexpr int pitch = (columns + Vector<T>::size) * sizeof(T);
        static constexpr int scratch_bytes = kTile * pitch;
        T sums[R][vectors][Vector<T>::size] = {};

        __device__ static int first_feature(int n) {
            return (n * 16 + threadIdx.x % 16) * Vector<T>::size;
        }

        // Leaves weights for the other threads of the block, which then have to meet.
        __device__ static void share(const TileWeights& weights, char* scratch, int part) {
#pragma unroll
            for (int r = 0; r < R; ++r) {
                T* const to = reinterpret_cast<T*>(scratch + row(r) * pitch);
#pragma unroll
                for (int c = 0; c < C / parts; ++c) {
                    to[column(c)] = weights.at[r][part * C / parts + c];
                }
            }
        }

        __device__ void multiply(const TileWeights&, const char* scratch,
                                 const Slab<T, features>& slab, int part) {
            using V = Vector<T>;
            const int lane = threadIdx.x % 16;
#pragma unroll 2
            for (int j = 0; j < columns; j += V::size) {
                V w[R];
#pragma unroll
                for (int r = 0; r < R; ++r) {
                    w[r] = *reinterpret_cast<const V*>(scratch + row(r) * pitch + j * sizeof(T));
                }
#pragma unroll
                for (int k = 0; k < V::size; ++k) {
                    const V* const from =
                        reinterpret_cast<const V*>(slab.row(part * columns + j + k));
#pragma unroll
                    for (int n = 0; n < vectors; ++n) {
                        const V u = from[n * 16 + lane];
#pragma unroll
                        for (int r = 0; r < R; ++r) {
#pragma unroll
                            for (int v = 0; v < V::size; ++v) {
                                sums[r][n][v] += w[r].at[k] * u.at[v];
                            }
                        }
                    }
                }
            }
        }

        // Writes the sums of `rows` rows, `there` features of each, `stride` apart.
        __device__ void store(T* to, int stride, int there) const {
            using V = Vector<T>;
#pragma unroll
            for (int r = 0; r < R; ++r) {
#pragma unroll
                for (int n = 0; n < vectors; ++n) {
                    const int first = first_feature(n);
                    if (first >= there) continue;
                    V out;
#pragma unroll
                    for (int v = 0; v < V::size; ++v) out.at[v] = sums[r][n][v];
                    *reinterpret_cast<V*>(to + static_cast<int64_t>(row(r)) * stride + first) = out;
                }
            }
        }
    };
};

// Numbers of 16 bits, or sums of two: of their products all are taken but that of both second
// terms, which is at most 2^-16 of the whole. A warp has 16 rows of a tile and all of its columns.
template <typename W>
struct MmaTile {
    using Word = W;
    using Number = float;
    using Term = TermOf<W>;
    static constexpr bool tensor_cores = true;
    static constexpr int threads = 128;
    static constexpr int blocks = kTerms<W> == 1 ? 3 : 2;
    static constexpr int forward_blocks = 4;  // which has few sums to keep
    static constexpr int stages = kTerms<W> == 1 ? 3 : 2;
    static constexpr int moving_rows = kTile;
    static constexpr int R = 2, C = 16;
    static constexpr int row_lanes = 4;
    static constexpr int features = 128;
    static constexpr bool packs_roles = false;
    static constexpr int terms = kTerms<W>;

    __device__ static int lane() { return threadIdx.x % 32; }
    __device__ static int row(int r) { return threadIdx.x / 32 * 16 + lane() / 4 + 8 * r; }
    __device__ static int column(int c) { return c / 2 * 8 + lane() % 4 * 2 + c % 2; }
    __device__ static int first_feature() { return 0; }  // of a warp's gradients

    // The rows that a lane names to ldmatrix.
    __device__ static Operands operands() {
        const int still = threadIdx.x / 32 * 16 + lane() % 16;
        const int moving = lane() / 16 * 8 + lane() % 8;
        return {still * kPitchBytes + lane() / 16 * 16, moving * kPitchBytes + lane() / 8 % 2 * 16};
    }

    __device__ static void multiply(const char* still, const char* moving, float (&s)[R][C]) {
        constexpr int chunk = kRowBytes / terms;
#pragma unroll
        for (int k = 0; k < chunk; k += 32) {  // 16 features
            uint32_t a[terms][4];
#pragma unroll
            for (int term = 0; term < terms; ++term) {
                ldmatrix_x4(a[term], still + term * chunk + k);
            }
#pragma unroll
            for (int n = 0; n < kTile / 16; ++n) {
#pragma unroll
                for (int term = 0; term < terms; ++term) {
                    uint32_t both[4];
                    ldmatrix_x4(both, moving + n * 16 * kPitchBytes + term * chunk + k);
#pragma unroll
                    for (int other = 0; other < terms - term; ++other) {
#pragma unroll
                        for (int half = 0; half < 2; ++half) {
                            const uint32_t b[2] = {both[2 * half], both[2 * half + 1]};
                            multiply_add(s, 4 * n + 2 * half, a[other], b);
                        }
                    }
                }
            }
        }
    }

    // A thread's weights of so many columns, as left operands: the layout of a result is that of
    // one.
    template <int columns>
    struct WeightsOf {
        uint32_t at[columns / 16][terms][4];

        // Of columns column(c) and column(c + 1), where c is even.
        __device__ void put(int r, int c, float first, float second) {
#pragma unroll
            for (int term = 0; term < terms; ++term) {
                at[c / 4][term][c % 4 + r] = take(first) | take(second) << 16;
            }
        }
    };

    using TileWeights = WeightsOf<kTile>;

    // Weights times some features of moving rows, for the rows of a tile.
    template <typename Tile, int features>
    struct ProductOf {
        static constexpr int tiles = features / 8;
        static constexpr int parts = 1;
        static constexpr int scratch_bytes = 0;
        float sums[tiles][4] = {};

        __device__ static void share(const TileWeights&, char*, int) {}

        __device__ void multiply(const TileWeights& weights, const char*,
                                 const Slab<W, features>& slab, int) {
#pragma unroll
            for (int k = 0; k < kTile / 16; ++k) {
                multiply(weights.at[k], slab.row(k * 16 + lane() % 16) + lane() / 16 * 16);
            }
        }

        // Adds the product of weights of 16 columns with rows of which the lane names one.
        __device__ void multiply(const uint32_t (&weights)[terms][4], const char* row) {
#pragma unroll
            for (int n = 0; n < tiles; n += 2) {
#pragma unroll
                for (int term = 0; term < terms; ++term) {
                    uint32_t both[4];
                    ldmatrix_x4_transposed(both, row + offset_of<W>(n * 8, term));
                    const uint32_t b0[2] = {both[0], both[1]}, b1[2] = {both[2], both[3]};
#pragma unroll
                    for (int other = 0; other < terms - term; ++other) {
                        mma_16816(sums[n], weights[other], b0, Term());
                        mma_16816(sums[n + 1], weights[other], b1, Term());
                    }
                }
            }
        }

        __device__ void store(float* to, int stride, int there) const {
#pragma unroll
            for (int n = 0; n < tiles; ++n) {
                const int first = Tile::first_feature() + n * 8 + lane() % 4 * 2;
                if (first >= there) continue;
#pragma unroll
                for (int r = 0; r < R; ++r) {
                    float2* at = reinterpret_cast<float2*>(
                        to + static_cast<int64_t>(Tile::row(r)) * stride + first);
                    *at = make_float2(sums[n][2 * r], sums[n][2 * r + 1]);
                }
            }
        }
    };
    using Product = ProductOf<MmaTile, features>;

  private:
    // Adds a product of 16 x 8 to the columns of s from c on.
    __device__ static void multiply_add(float (&s)[R][C], int c, const uint32_t (&a)[4],
                                        const uint32_t (&b)[2]) {
        float sums[4] = {s[0][c], s[0][c + 1], s[1][c], s[1][c + 1]};
        mma_16816(sums, a, b, Term());
        s[0][c] = sums[0];
        s[0][c + 1] = sums[1];
        s[1][c] = sums[2];
        s[1][c + 1] = sums[3];
    }

    // The bits of x in 16, which are taken off it.
    __device__ static uint32_t take(float& x) {
        if constexpr (std::is_same_v<Term, __half>) {
            const __half term = __float2half_rn(x);
            x -= __half2float(term);
            return __half_as_ushort(term);
        } else {
            const __nv_bfloat16 term = __float2bfloat16_rn(x);
            x -= __bfloat162float(term);
            return __bfloat16_as_ushort(term);
        }
    }
};

// For the gradients of rows of more features than an MmaTile gathers: twice as many, so that
// similarities are computed half as often. A multiprocessor has two such blocks at a time, of
// registers as well as, if one chunk is under way, of shared memory.
template <typename W>
struct WideMmaTile : MmaTile<W> {
    static constexpr int blocks = 2;
    static constexpr int stages = 2;
    static constexpr int features = 256;
    using Product = typename MmaTile<W>::template ProductOf<WideMmaTile, features>;
};

// For the gradients of rows of still more features: 512 of them at once. Two warps share 16 still
// rows: each has half of the features, of similarities as well as of gradients, and holds those of
// its still rows in registers. Of similarities a warp adds up both halves for 16 columns of 32.
template <typename W>
struct PairedMmaTile : MmaTile<W> {
    using Base = MmaTile<W>;
    using Base::lane;
    static constexpr int threads = 256;
    static constexpr int blocks = 1;  // of registers
    static constexpr int stages = 2;
    static constexpr int moving_rows = 32;
    static constexpr int C = 4;
    static constexpr int features = 512;
    static constexpr int own_features = features / 2;  // of a warp
    static constexpr bool packs_roles = true;          // where labels would take more registers

    __device__ static int half() { return threadIdx.x / 32 % 2; }
    __device__ static int row(int r) { return threadIdx.x / 64 * 16 + lane() / 4 + 8 * r; }
    __device__ static int column(int c) { return half() * 16 + Base::column(c); }
    __device__ static int first_feature() { return half() * own_features; }

    using TileWeights = typename Base::template WeightsOf<16>;
    using Product = typename Base::template ProductOf<PairedMmaTile, own_features>;
};

// The tiles of a backward pass over rows of more features than a Tile gathers, and than a wide one.
template <typename Tile>
struct WiderTilesOf {
    using Wide = Tile;
    using Widest = Tile;
};
template <typename W>
struct WiderTilesOf<MmaTile<W>> {
    using Wide = std::conditional_t<kTerms<W> == 1, WideMmaTile<W>, MmaTile<W>>;
    using Widest = std::conditional_t<kTerms<W> == 1, PairedMmaTile<W>, MmaTile<W>>;
};

}  // namespace lelkern::contrastive::cuda
