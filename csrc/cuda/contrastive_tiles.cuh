// The two products of a tile: similarities of 64 still with 64 moving rows, over their features a
// chunk at a time; and weights of that shape times the moving rows.
//
// FmaTile multiplies and adds numbers one by one; MmaTile uses the tensor cores. Both say which
// numbers of the tile a thread holds: rows row(r), r < R, and columns column(c), c < C.
#pragma once

#include "cuda/contrastive_pass.cuh"
#include "cuda/instructions.cuh"

namespace lelkern::cuda {

template <typename T>
struct alignas(16) Vector {
    static constexpr int size = 16 / sizeof(T);
    T at[size];
};

// Chunks of kRowBytes of the rows of both sides, of which the next is under way while one is used.
// Still rows that have no more chunks than there are stages stay where they are.
struct Stages {
    static constexpr int side_bytes = kTile * kPitchBytes;
    static constexpr int bytes = 2 * 2 * side_bytes;
    char* memory;

    __device__ char* still(int stage) const { return memory + 2 * stage * side_bytes; }
    __device__ char* moving(int stage) const { return still(stage) + side_bytes; }

    // Starts to copy chunk number `chunk` of the 64 rows from `row` on.
    template <int threads, typename Word>
    __device__ static void load(char* to, const Word* words, int stride, int row, int chunk) {
        constexpr int vectors = kRowBytes / 16;
        static_assert(kTile * vectors % threads == 0);
        for (int k = threadIdx.x; k < kTile * vectors; k += threads) {
            const int r = k / vectors, v = k % vectors;
            const Word* from = words + static_cast<int64_t>(row + r) * stride;
            cp_async_16(to + r * kPitchBytes + v * 16,
                        reinterpret_cast<const char*>(from) + chunk * kRowBytes + v * 16);
        }
    }
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
        const int there = min(row_bytes, (stride - first) * static_cast<int>(sizeof(Word))) / 16;
        for (int k = threadIdx.x; k < kTile * there; k += threads) {
            const int r = k / there, v = k % there;
            const Word* from = words + static_cast<int64_t>(row + r) * stride + first;
            cp_async_16(memory + r * pitch + v * 16, reinterpret_cast<const char*>(from) + v * 16);
        }
    }

    __device__ const Word* row(int j) const {
        return reinterpret_cast<const Word*>(memory + j * pitch);
    }
};

template <typename T>
struct FmaTile {
    using Word = T;
    using Number = T;
    static constexpr int threads = 256;
    static constexpr int blocks = sizeof(T) == 4 ? 2 : 1;  // at once on a multiprocessor
    static constexpr int R = 4, C = 4;
    static constexpr int row_lanes = 16;  // neighbours in a warp that share their rows
    static constexpr int features = sizeof(T) == 4 ? 128 : 32;  // of a slab

    __device__ static int row(int r) { return threadIdx.x / 16 * 4 + r; }
    __device__ static int column(int c) { return threadIdx.x % 16 + 16 * c; }

    // s += the product of one chunk.
    __device__ static void multiply(const char* still, const char* moving, T (&s)[R][C]) {
        using V = Vector<T>;
#pragma unroll 2
        for (int k = 0; k < kRowBytes; k += 16) {
            V a[R], b[C];
#pragma unroll
            for (int r = 0; r < R; ++r) {
                a[r] = *reinterpret_cast<const V*>(still + row(r) * kPitchBytes + k);
            }
#pragma unroll
            for (int c = 0; c < C; ++c) {
                b[c] = *reinterpret_cast<const V*>(moving + column(c) * kPitchBytes + k);
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

    // Weights (64, 64) times a slab, for rows row(r) and features feature(n, v).
    struct Product {
        static constexpr int vectors = features / (16 * Vector<T>::size);
        static constexpr int pitch = (kTile + Vector<T>::size) * sizeof(T);
        static constexpr int scratch_bytes = kTile * pitch;
        T sums[R][vectors][Vector<T>::size] = {};

        // Leaves the weights for the other threads of the block, which then have to meet.
        __device__ static void share(const T (&weights)[R][C], char* scratch) {
#pragma unroll
            for (int r = 0; r < R; ++r) {
#pragma unroll
                for (int c = 0; c < C; ++c) {
                    reinterpret_cast<T*>(scratch + row(r) * pitch)[column(c)] = weights[r][c];
                }
            }
        }

        __device__ void multiply(const T (&)[R][C], const char* scratch,
                                 const Slab<T, features>& slab) {
            using V = Vector<T>;
            const int lane = threadIdx.x % 16;
#pragma unroll 2
            for (int j = 0; j < kTile; j += V::size) {
                V w[R];
#pragma unroll
                for (int r = 0; r < R; ++r) {
                    w[r] = *reinterpret_cast<const V*>(scratch + row(r) * pitch + j * sizeof(T));
                }
#pragma unroll
                for (int k = 0; k < V::size; ++k) {
#pragma unroll
                    for (int n = 0; n < vectors; ++n) {
                        const V u = reinterpret_cast<const V*>(slab.row(j + k))[n * 16 + lane];
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
                    const int first = (n * 16 + threadIdx.x % 16) * V::size;
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

// Word is __half or __nv_bfloat16. A warp has 16 rows of a tile and all of its columns.
template <typename W>
struct MmaTile {
    using Word = W;
    using Number = float;
    static constexpr int threads = 128;
    static constexpr int blocks = 2;
    static constexpr int R = 2, C = 16;
    static constexpr int row_lanes = 4;
    static constexpr int features = 128;

    __device__ static int lane() { return threadIdx.x % 32; }
    __device__ static int row(int r) { return threadIdx.x / 32 * 16 + lane() / 4 + 8 * r; }
    __device__ static int column(int c) { return c / 2 * 8 + lane() % 4 * 2 + c % 2; }

    __device__ static void multiply(const char* still, const char* moving, float (&s)[R][C]) {
        const int first = threadIdx.x / 32 * 16;
#pragma unroll
        for (int k = 0; k < kRowBytes; k += 32) {  // 16 features
            uint32_t a[4];
            ldmatrix_x4(a, still + (first + lane() % 16) * kPitchBytes + k + lane() / 16 * 16);
#pragma unroll
            for (int n = 0; n < kTile / 16; ++n) {
                uint32_t both[4];
                const int row = n * 16 + lane() / 16 * 8 + lane() % 8;
                ldmatrix_x4(both, moving + row * kPitchBytes + k + lane() / 8 % 2 * 16);
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    const uint32_t b[2] = {both[2 * half], both[2 * half + 1]};
                    multiply_add(s, 4 * n + 2 * half, a, b);
                }
            }
        }
    }

    struct Product {
        static constexpr int tiles = features / 8;
        static constexpr int scratch_bytes = 0;
        float sums[tiles][4] = {};

        __device__ static void share(const float (&)[R][C], char*) {}

        __device__ void multiply(const float (&weights)[R][C], const char*,
                                 const Slab<W, features>& slab) {
#pragma unroll
            for (int k = 0; k < kTile / 16; ++k) {
                // The layout of a result is that of a left operand.
                const uint32_t a[4] = {pack(weights[0][4 * k], weights[0][4 * k + 1]),
                                       pack(weights[1][4 * k], weights[1][4 * k + 1]),
                                       pack(weights[0][4 * k + 2], weights[0][4 * k + 3]),
                                       pack(weights[1][4 * k + 2], weights[1][4 * k + 3])};
                const W* from = slab.row(k * 16 + lane() % 16) + lane() / 16 * 8;
#pragma unroll
                for (int n = 0; n < tiles; n += 2) {
                    uint32_t both[4];
                    ldmatrix_x4_transposed(both, from + n * 8);
                    const uint32_t b0[2] = {both[0], both[1]}, b1[2] = {both[2], both[3]};
                    mma_16816(sums[n], a, b0, W());
                    mma_16816(sums[n + 1], a, b1, W());
                }
            }
        }

        __device__ void store(float* to, int stride, int there) const {
#pragma unroll
            for (int n = 0; n < tiles; ++n) {
                const int first = n * 8 + lane() % 4 * 2;
                if (first >= there) continue;
#pragma unroll
                for (int r = 0; r < R; ++r) {
                    float2* at = reinterpret_cast<float2*>(
                        to + static_cast<int64_t>(row(r)) * stride + first);
                    *at = make_float2(sums[n][2 * r], sums[n][2 * r + 1]);
                }
            }
        }
    };

  private:
    // Adds a product of 16 x 8 to the columns of s from c on.
    __device__ static void multiply_add(float (&s)[R][C], int c, const uint32_t (&a)[4],
                                        const uint32_t (&b)[2]) {
        float sums[4] = {s[0][c], s[0][c + 1], s[1][c], s[1][c + 1]};
        mma_16816(sums, a, b, W());
        s[0][c] = sums[0];
        s[0][c + 1] = sums[1];
        s[1][c] = sums[2];
        s[1][c + 1] = sums[3];
    }

    __device__ static uint32_t pack(float low, float high) {
        return static_cast<uint32_t>(bits(low)) | static_cast<uint32_t>(bits(high)) << 16;
    }

    __device__ static uint16_t bits(float x) {
        if constexpr (std::is_same_v<W, __half>) {
            return __half_as_ushort(__float2half_rn(x));
        } else {
            return __bfloat16_as_ushort(__float2bfloat16_rn(x));
        }
    }
};

}  // namespace lelkern::cuda
