// The blocked loops of NT-Xent. Included by foreach_isa.h once for each instruction set.
//
// A task owns a block of rows and walks over all columns in tiles, so that the M x M similarities
// exist one tile at a time, and nothing depends on how many threads share the tasks.

constexpr int tile_rows = LELKERN_TILE_ROWS;
constexpr int64_t block_rows = 4 * tile_rows;

template <typename T>
constexpr int panel_width = LELKERN_TILE_VECTORS * Lanes<T>::count;

// c[r][0..panel) (+)= sum_k a[r][k] b[k][0..panel) for tile_rows rows.
template <typename T>
inline void multiply_tile(const T* a, int64_t a_stride, const T* b, int64_t b_stride, int64_t depth,
                          T* c, int64_t c_stride, bool accumulate) {
    constexpr int lanes = Lanes<T>::count;
    Vec<T> sums[tile_rows][LELKERN_TILE_VECTORS] = {};
    for (int64_t k = 0; k < depth; ++k) {
        Vec<T> column[LELKERN_TILE_VECTORS];
        for (int v = 0; v < LELKERN_TILE_VECTORS; ++v)
            column[v] = load(b + k * b_stride + v * lanes);
        for (int r = 0; r < tile_rows; ++r) {
            const T factor = a[r * a_stride + k];
            for (int v = 0; v < LELKERN_TILE_VECTORS; ++v) sums[r][v] += factor * column[v];
        }
    }
    for (int r = 0; r < tile_rows; ++r) {
        for (int v = 0; v < LELKERN_TILE_VECTORS; ++v) {
            T* to = c + r * c_stride + v * lanes;
            store(to, accumulate ? load(to) + sums[r][v] : sums[r][v]);
        }
    }
}

// tile (block_rows, kColumns) = similarities of rows [i0, ...) with rows [j0, ...). The diagonal
// and the padding become -inf, the positives too once they are copied to `positive` (block_rows,).
template <typename T>
void similarities(const nt_xent::Batch<T>& batch, int64_t i0, int64_t j0, T* tile, T* positive) {
    constexpr int width = panel_width<T>;
    const T* a = batch.rows + i0 * batch.padded_D;
    for (int64_t k = 0; k < batch.D || k == 0; k += nt_xent::kDepth) {
        const int64_t depth = batch.D - k < nt_xent::kDepth ? batch.D - k : nt_xent::kDepth;
        for (int64_t j = 0; j < nt_xent::kColumns; j += width) {
            const T* panel = batch.panels + (j0 + j) * batch.D + k * width;
            for (int64_t r = 0; r < block_rows; r += tile_rows) {
                multiply_tile(a + r * batch.padded_D + k, batch.padded_D, panel, width, depth,
                              tile + r * nt_xent::kColumns + j, nt_xent::kColumns, k > 0);
            }
        }
    }
    constexpr T infinity = std::numeric_limits<T>::infinity();
    const int64_t rows = batch.M - i0 < block_rows ? batch.M - i0 : block_rows;
    for (int64_t r = 0; r < rows; ++r) {
        T* row = tile + r * nt_xent::kColumns;
        const int64_t diagonal = i0 + r - j0, pair = batch.positive(i0 + r) - j0;
        if (diagonal >= 0 && diagonal < nt_xent::kColumns) row[diagonal] = -infinity;
        if (pair >= 0 && pair < nt_xent::kColumns) {
            positive[r] = row[pair];
            row[pair] = -infinity;
        }
        for (int64_t j = batch.M - j0; j < nt_xent::kColumns; ++j) row[j] = -infinity;
    }
}

// Losses and log-sum-exps of rows [i0, i0 + block_rows), with a running maximum over the tiles.
template <typename T>
void forward_block(const nt_xent::Batch<T>& batch, int64_t i0, nt_xent::Saved<T> saved) {
    constexpr int lanes = Lanes<T>::count;
    const int64_t rows = batch.M - i0 < block_rows ? batch.M - i0 : block_rows;
    const Vec<T> beta = broadcast(static_cast<T>(batch.beta));
    alignas(64) T tile[block_rows * nt_xent::kColumns];
    T positive[block_rows], peak[block_rows];
    double sum[block_rows];  // of exp(beta (s - peak)) over the negatives
    for (int64_t r = 0; r < block_rows; ++r) {
        peak[r] = -2;  // below every cosine, and finite
        sum[r] = 0;
    }
    for (int64_t j0 = 0; j0 < batch.M; j0 += nt_xent::kColumns) {
        similarities(batch, i0, j0, tile, positive);
        for (int64_t r = 0; r < rows; ++r) {
            const T* row = tile + r * nt_xent::kColumns;
            Vec<T> best = load(row);
            for (int64_t j = lanes; j < nt_xent::kColumns; j += lanes) {
                const Vec<T> s = load(row + j);
                best = s > best ? s : best;
            }
            const T tile_peak = max_of_lanes<T>(best);
            if (tile_peak > peak[r]) {
                sum[r] *= std::exp(batch.beta * (static_cast<double>(peak[r]) - tile_peak));
                peak[r] = tile_peak;
            }
            Vec<T> sums = {};
            for (int64_t j = 0; j < nt_xent::kColumns; j += lanes) {
                sums += exp<T>(beta * (load(row + j) - peak[r]));
            }
            sum[r] += sum_of_lanes<T>(sums);
        }
    }
    for (int64_t r = 0; r < rows; ++r) {
        // log of (sum over the negatives) / exp(positive); its softplus is the loss, and keeps its
        // relative accuracy when the loss is nearly zero. A single pair has no negatives: log 0.
        const double x =
            std::log(sum[r]) + batch.beta * (static_cast<double>(peak[r]) - positive[r]);
        const double loss = x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
        saved.loss[i0 + r] = static_cast<T>(loss);
        saved.log_sum_exp[i0 + r] = batch.beta * positive[r] + loss;
    }
}

// Turns the similarities of a tile into G, in place.
template <typename T>
void gradient_weights(const nt_xent::Batch<T>& batch, const nt_xent::Weights<T>& weights,
                      int64_t i0, int64_t j0, T* tile) {
    constexpr int lanes = Lanes<T>::count;
    const int64_t rows = batch.M - i0 < block_rows ? batch.M - i0 : block_rows;
    const Vec<T> beta = broadcast(static_cast<T>(batch.beta));
    for (int64_t r = 0; r < rows; ++r) {
        T* row = tile + r * nt_xent::kColumns;
        const int64_t i = i0 + r;
        for (int64_t j = 0; j < nt_xent::kColumns; j += lanes) {
            const Vec<T> s = load(row + j);
            if (weights.one_exp) {
                const Vec<T> both = weights.unshifted[i] + load(&weights.unshifted[j0 + j]);
                store<T>(row + j, exp<T>(beta * s) * both);
            } else {
                const Vec<T> own = exp<T>(beta * (s - weights.peak[i]) - weights.rest[i]);
                const Vec<T> other =
                    exp<T>(beta * (s - load(&weights.peak[j0 + j])) - load(&weights.rest[j0 + j]));
                store<T>(row + j,
                         own * weights.upstream[i] + other * load(&weights.upstream[j0 + j]));
            }
        }
        const int64_t positive = batch.positive(i), pair = positive - j0;
        if (pair >= 0 && pair < nt_xent::kColumns) {
            row[pair] = -(weights.missing[i] + weights.missing[positive]);
        }
    }
}

// out (block_rows, padded_D) = sum_j G_ij z_j of rows [i0, i0 + block_rows).
template <typename T>
void backward_block(const nt_xent::Batch<T>& batch, const nt_xent::Weights<T>& weights, int64_t i0,
                    T* out) {
    constexpr int width = panel_width<T>;
    alignas(64) T tile[block_rows * nt_xent::kColumns];
    T positive[block_rows];
    for (int64_t j0 = 0; j0 < batch.M; j0 += nt_xent::kColumns) {
        similarities(batch, i0, j0, tile, positive);
        gradient_weights(batch, weights, i0, j0, tile);
        for (int64_t d = 0; d < batch.padded_D; d += width) {
            for (int64_t r = 0; r < block_rows; r += tile_rows) {
                multiply_tile(tile + r * nt_xent::kColumns, nt_xent::kColumns,
                              batch.rows + j0 * batch.padded_D + d, batch.padded_D,
                              nt_xent::kColumns, out + r * batch.padded_D + d, batch.padded_D,
                              j0 > 0);
            }
        }
    }
}

// The entry points of one instruction set, for an accumulation type.
template <typename T>
struct Tiles {
    static constexpr int width = panel_width<T>;
    static constexpr int64_t rows = block_rows;
    static constexpr auto forward = forward_block<T>;
    static constexpr auto backward = backward_block<T>;
};
