// Which kernels a loss takes, and in what memory. See contrastive.h.
#pragma once

#include <algorithm>
#include <limits>

#include "contrastive/cuda/contrastive_symmetric.cuh"

namespace lelkern::contrastive::cuda {

// Hands out parts of a workspace, or without one counts how large it has to be.
class Arena {
  public:
    explicit Arena(void* memory) : memory_(static_cast<char*>(memory)) {}

    template <typename T>
    T* take(int64_t count) {
        char* at = memory_ == nullptr ? nullptr : memory_ + bytes_;
        bytes_ += (count * static_cast<int64_t>(sizeof(T)) + 255) / 256 * 256;
        return reinterpret_cast<T*>(at);
    }

    bool counts() const { return memory_ == nullptr; }
    int64_t bytes() const { return bytes_; }

  private:
    char* memory_;
    int64_t bytes_ = 0;
};

constexpr int64_t kMostSplits = 64;
constexpr int64_t kPartialBytes = 32 << 20;  // for gradients that several blocks share

inline int whole_tiles(int64_t rows) {
    return static_cast<int>((rows + kTile - 1) / kTile * kTile);
}

inline dim3 blocks_for(int64_t items, int each) {
    return dim3(static_cast<unsigned>((items + each - 1) / each));
}

// T: of the embeddings.
template <typename T, typename Tile>
class Engine {
  public:
    using Word = typename Tile::Word;
    using Number = typename Tile::Number;

    Engine(const Loss& loss, void* workspace, cudaStream_t stream)
        : loss_(loss), arena_(workspace), stream_(stream) {
        constexpr int unit = kRowBytes / static_cast<int>(sizeof(Word));
        stride_ = static_cast<int>((std::max<int64_t>(loss.D, 1) + unit - 1) / unit * unit);
        rows_ = pack({{loss.rows[0], loss.rows[1]}});
        columns_ = loss.self ? rows_ : pack({{loss.columns, Matrix()}});
        if (loss.positives == Positives::given) given_ = pack({{loss.given, Matrix()}});
        rows_.side.ids = loss.row_ids;
        rows_.side.period = static_cast<int>(loss.rows[0].count);
        rows_.side.labels = loss.labels;
        columns_.side.ids = loss.self ? loss.row_ids : loss.column_ids;
        columns_.side.period = loss.self ? rows_.side.period : columns_.side.count;
        columns_.side.labels = loss.labels;
        if (loss.positives == Positives::labelled) {
            counts_ = arena_.template take<int>(rows_.side.padded);
            launch(rows_.side.count, kLabelThreads, [&](dim3 grid) {
                return LELKERN_LAUNCH(contrastive_count, grid, dim3(kLabelThreads), 0, stream_,
                                      loss_.labels, rows_.side.count, counts_);
            });
        }
    }

    void forward(void* losses, double* log_sum_exp, void* stats) {
        const int64_t rows = rows_.side.count;
        Number* const out = static_cast<Number*>(losses);
        Number* const accuracy = static_cast<Number*>(stats);
        forward_pass(rows_.side, columns_.side, out, log_sum_exp, accuracy);
        if (loss_.both) {
            forward_pass(columns_.side, rows_.side, out + rows, log_sum_exp + rows,
                         accuracy == nullptr ? nullptr : accuracy + rows);
        }
    }

    void backward(const void* grad, int64_t grad_stride, const void* losses,
                  const double* log_sum_exp, const Gradients& to, bool column_gradients) {
        const Number* const scale = scale_of_weights(grad, grad_stride, log_sum_exp);
        const auto weights = [&](const Side<Word>& side, int first) {
            Weights<Number> found;
            found.padded = side.padded;
            found.fields = arena_.template take<Number>(Weights<Number>::count * side.padded);
            launch(side.padded, kFinishThreads, [&](dim3 grid) {
                return LELKERN_LAUNCH(contrastive_weights<Number>, grid, dim3(kFinishThreads), 0,
                                      stream_, static_cast<const Number*>(grad), grad_stride,
                                      static_cast<const Number*>(losses), log_sum_exp, counts_,
                                      first, side.count, scale, loss_.temperature,
                                      loss_.temperature_element, found);
            });
            return found;
        };
        const Weights<Number> of_rows = weights(rows_.side, 0);
        Weights<Number> of_columns;
        if (loss_.self) {
            of_columns = of_rows;
        } else if (loss_.both) {
            of_columns = weights(columns_.side, rows_.side.count);
        }
        double* const along = arena_.template take<double>(rows_.side.padded);
        const GivenPositives<T, Word> given{given_.side, given_.factors,
                                            out_of({{to.given, Matrix()}})};
        backward_pass(rows_, columns_.side, of_rows, of_columns, given, scale,
                      out_of({{to.rows[0], to.rows[1]}}), along);
        if (column_gradients) {
            backward_pass(columns_, rows_.side, of_columns, of_rows, {}, scale,
                          out_of({{to.columns, Matrix()}}), nullptr);
        }
        if (arena_.counts() || error_ != cudaSuccess) return;
        error_ = LELKERN_LAUNCH(contrastive_temperature<Number>, dim3(1), dim3(kScaleThreads), 0,
                                stream_, along, rows_.side.count, loss_.self ? 2 : 1,
                                loss_.temperature, loss_.temperature_element, to.temperature);
    }

    int64_t bytes() const { return arena_.bytes(); }
    cudaError_t error() const { return error_; }

  private:
    struct Parts {
        Matrix at[2];
    };

    struct Packed {
        Side<Word> side{};
        double* factors = nullptr;
    };

    // Calls f(grid) for so many items, `each` in a block.
    template <typename F>
    void launch(int64_t items, int each, const F& f) {
        if (items > 0 && !arena_.counts() && error_ == cudaSuccess)
            error_ = f(blocks_for(items, each));
    }

    Packed pack(const Parts& parts) {
        const Matrix &first = parts.at[0], &second = parts.at[1];
        Packed packed;
        packed.side.count = static_cast<int>(first.count + second.count);
        packed.side.padded = whole_tiles(packed.side.count);
        Word* const words =
            arena_.template take<Word>(static_cast<int64_t>(packed.side.padded) * stride_);
        packed.side.words = words;
        packed.factors = arena_.template take<double>(packed.side.padded);
        float* inverse_norm = nullptr;
        if (sizeof(Word) == 2) inverse_norm = arena_.template take<float>(packed.side.padded);
        packed.side.inverse_norm = inverse_norm;
        const Rows<T> rows{{static_cast<const T*>(first.data), static_cast<const T*>(second.data)},
                           {first.stride, second.stride},
                           static_cast<int>(first.count),
                           packed.side.count};
        launch(packed.side.padded, kPrepareThreads / kWarp, [&](dim3 grid) {
            return LELKERN_LAUNCH((contrastive_prepare<T, Word>), grid, dim3(kPrepareThreads), 0,
                                  stream_, rows, static_cast<int>(loss_.D), packed.side.padded,
                                  stride_, loss_.normalize, words, packed.factors, inverse_norm);
        });
        return packed;
    }

    static RowsOut<T> out_of(const Parts& parts) {
        const Matrix &first = parts.at[0], &second = parts.at[1];
        return {{static_cast<T*>(first.data), static_cast<T*>(second.data)},
                {first.stride, second.stride},
                static_cast<int>(first.count)};
    }

    // Where weights have one, which is where they are rounded to 16 bits or summed in fixed point.
    const Number* scale_of_weights(const void* grad, int64_t grad_stride,
                                   const double* log_sum_exp) {
        if constexpr (std::is_same_v<Number, float>) {
            const bool fixed = symmetric();
            if (!Tile::tensor_cores && !fixed) return nullptr;
            float* const scale = arena_.template take<float>(1);
            if (!arena_.counts() && error_ == cudaSuccess) {
                error_ = LELKERN_LAUNCH(
                    contrastive_scale, dim3(1), dim3(kScaleThreads), 0, stream_,
                    static_cast<const float*>(grad), grad_stride, fixed ? log_sum_exp : nullptr,
                    fixed ? rows_.factors : nullptr, static_cast<int>(loss_.losses()), scale);
            }
            return scale;
        } else {
            return nullptr;
        }
    }

    // Half of the similarities serve where they are a third of the work, and nothing is gained by
    // more blocks.
    bool symmetric() const {
        const int64_t tiles = rows_.side.padded / kTile;
        return std::is_same_v<Tile, SymmetricTile> && loss_.self && loss_.normalize &&
               tiles * (tiles / 2 + 1) * slabs() >= 4 * loss_.multiprocessors;
    }

    int slabs() const { return (stride_ + Tile::features - 1) / Tile::features; }

    // How many of at most `most` blocks should share what one block would do with so many tiles, so
    // that multiprocessors, which have two blocks at a time, all have some to the end.
    int splits(int64_t blocks, int tiles, int64_t most) const {
        // Long sums of tensor cores drift, as they truncate; those of shares are added in double.
        const int at_least = Tile::tensor_cores ? tiles / 512 : 1;
        const int64_t at_most = std::min<int64_t>({most, kMostSplits, std::max(tiles, 1)});
        int best = 1;
        int64_t least = std::numeric_limits<int64_t>::max();
        for (int count = std::min<int>(std::max(at_least, 1), at_most); count <= at_most; ++count) {
            const int64_t places = 2 * loss_.multiprocessors;
            const int64_t rounds = (blocks * count + places - 1) / places;
            // A block takes about as long as a tile besides.
            const int64_t time = rounds * ((tiles + count - 1) / count + 1);
            if (time < least) {
                least = time;
                best = count;
            }
        }
        return best;
    }

    Pass<Word> pass_of(const Side<Word>& still, const Side<Word>& moving, int splits) const {
        return {still,
                moving,
                stride_,
                splits,
                rows_.side.count / 2,
                loss_.positives,
                loss_.self,
                loss_.temperature,
                loss_.temperature_element};
    }

    void forward_pass(const Side<Word>& still, const Side<Word>& moving, Number* losses,
                      double* log_sum_exp, Number* accuracy) {
        const Pass<Word> pass = pass_of(
            still, moving, splits(still.padded / kTile, moving.padded / kTile, kMostSplits));
        const int64_t size = static_cast<int64_t>(still.padded) * pass.splits;
        Number* const sums = arena_.template take<Number>(RowSums<Number>::fields * size);
        Number* const positive = arena_.template take<Number>(still.padded);
        const bool labelled = loss_.positives == Positives::labelled;
        const bool given = loss_.positives == Positives::given;
        launch(still.padded, kTile, [&](dim3 grid) {
            grid.y = pass.splits;
            const auto go = [&](auto kernel) {
                return LELKERN_LAUNCH(kernel, grid, dim3(Tile::threads), Stages::bytes, stream_,
                                      pass, sums, positive);
            };
            if (labelled) {
                return accuracy ? go(contrastive_forward<Tile, true, true>)
                                : go(contrastive_forward<Tile, true, false>);
            }
            return accuracy ? go(contrastive_forward<Tile, false, true>)
                            : go(contrastive_forward<Tile, false, false>);
        });
        if (given) {
            launch(still.count, kPrepareThreads / kWarp, [&](dim3 grid) {
                return LELKERN_LAUNCH(contrastive_given<Word>, grid, dim3(kPrepareThreads), 0,
                                      stream_, still, given_.side, stride_, positive);
            });
        }
        const double epsilon = sizeof(Number) == 8 ? 2.220446049250313e-16 : 1.1920929e-07;
        // Tensor cores truncate, which adds up with the number of their steps.
        const double steps =
            Tile::tensor_cores ? static_cast<double>(kTerms<Word> * loss_.D) / 4 : 0;
        const double left_out = kTerms<Word> == 1 ? 0 : 1.0 / (1 << 16);  // see MmaTile
        const double rounding =
            given ? (std::sqrt(static_cast<double>(loss_.D)) + steps) * epsilon + left_out : 0;
        launch(still.count, kFinishThreads, [&](dim3 grid) {
            return LELKERN_LAUNCH(contrastive_finish<Number>, grid, dim3(kFinishThreads), 0,
                                  stream_, sums, positive, counts_, still.count, still.padded,
                                  pass.splits, rounding, loss_.temperature,
                                  loss_.temperature_element, losses, log_sum_exp, accuracy,
                                  accuracy == nullptr ? nullptr : accuracy + loss_.losses());
        });
    }

    void backward_pass(const Packed& still, const Side<Word>& moving, const Weights<Number>& own,
                       const Weights<Number>& other, const GivenPositives<T, Word>& given,
                       const Number* scale, const RowsOut<T>& out, double* along) {
        const GradientSums<Number> sums = symmetric() ? symmetric_sums(still.side, own)
                                                      : row_sums(still.side, moving, own, other);
        launch(still.side.count, kPrepareThreads / kWarp, [&](dim3 grid) {
            return LELKERN_LAUNCH((contrastive_project<T, Word>), grid, dim3(kPrepareThreads), 0,
                                  stream_, sums, still.side, still.factors, own, given,
                                  static_cast<int>(loss_.D), loss_.normalize, scale,
                                  loss_.temperature, loss_.temperature_element, out, along);
        });
    }

    // Of one side, each block all of its rows'.
    GradientSums<Number> row_sums(const Side<Word>& still, const Side<Word>& moving,
                                  const Weights<Number>& own, const Weights<Number>& other) {
        const int64_t size = static_cast<int64_t>(still.padded) * stride_;
        const int64_t most =
            std::max<int64_t>(1, kPartialBytes / std::max<int64_t>(1, size * sizeof(Number)));
        const int64_t blocks = still.padded / kTile * slabs();
        const Pass<Word> pass = pass_of(still, moving, splits(blocks, moving.padded / kTile, most));
        Number* const sums = arena_.template take<Number>(size * pass.splits);
        launch(still.padded, kTile, [&](dim3 grid) {
            grid.y = pass.splits;
            grid.z = slabs();
            const auto go = [&](auto kernel) {
                return LELKERN_LAUNCH(kernel, grid, dim3(Tile::threads), kBackwardShared<Tile>,
                                      stream_, pass, own, other, sums);
            };
            return loss_.positives == Positives::labelled ? go(contrastive_backward<Tile, true>)
                                                          : go(contrastive_backward<Tile, false>);
        });
        return {sums, pass.splits, still.padded, stride_, {}};
    }

    // Of rows that are compared with themselves.
    GradientSums<Number> symmetric_sums(const Side<Word>& side, const Weights<Number>& weights) {
        const int64_t size = static_cast<int64_t>(side.padded) * stride_;
        const int tiles = side.padded / kTile;
        const FixedPoint sums{arena_.template take<unsigned long long>(size),
                              fixed_point_scale(side.count)};
        if constexpr (std::is_same_v<Tile, SymmetricTile>) {
            const Pass<Word> pass = pass_of(
                side, side, splits(tiles * slabs(), symmetric_tiles(tiles, 0), kMostSplits));
            launch(size, kClearThreads, [&](dim3 grid) {
                return LELKERN_LAUNCH(contrastive_clear, grid, dim3(kClearThreads), 0, stream_,
                                      sums.sums, size);
            });
            launch(side.padded, kTile, [&](dim3 grid) {
                grid.y = pass.splits;
                grid.z = slabs();
                const auto go = [&](auto kernel) {
                    return LELKERN_LAUNCH(kernel, grid, dim3(Tile::threads), kSymmetricShared,
                                          stream_, pass, weights, sums);
                };
                return loss_.positives == Positives::labelled ? go(contrastive_symmetric<true>)
                                                              : go(contrastive_symmetric<false>);
            });
        }
        return {nullptr, 0, side.padded, stride_, sums};
    }

    const Loss& loss_;
    Arena arena_;
    cudaStream_t stream_;
    cudaError_t error_ = cudaSuccess;
    int stride_;
    Packed rows_, columns_, given_;
    int* counts_ = nullptr;
};

// Calls f with an engine for the loss: for its embeddings, in what they are multiplied in.
template <typename F>
auto with_engine(const Loss& loss, void* workspace, cudaStream_t stream, const F& f) {
    switch (loss.element) {
        case Element::float64:
            return f(Engine<double, FmaTile<double>>(loss, workspace, stream));
        case Element::float32:
            if (loss.terms == 0) return f(Engine<float, FmaTile<float>>(loss, workspace, stream));
            if (loss.terms == 2)
                return f(Engine<float, MmaTile<TwoTerms>>(loss, workspace, stream));
            return f(Engine<float, MmaTile<__nv_bfloat16>>(loss, workspace, stream));
        case Element::float16:
            if (loss.terms == 0) return f(Engine<__half, FmaTile<float>>(loss, workspace, stream));
            return f(Engine<__half, MmaTile<__half>>(loss, workspace, stream));
        default:
            if (loss.terms == 0) {
                return f(Engine<__nv_bfloat16, FmaTile<float>>(loss, workspace, stream));
            }
            return f(Engine<__nv_bfloat16, MmaTile<__nv_bfloat16>>(loss, workspace, stream));
    }
}

}  // namespace lelkern::contrastive::cuda
