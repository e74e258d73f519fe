// The gradients of the losses of rows of every type.

#include "contrastive/cuda/contrastive_engine.cuh"
#include "contrastive/cuda/contrastive_symmetric.cuh"

namespace lelkern::contrastive::cuda {
namespace {

template <typename T, typename Tile>
class BackwardEngine : public Engine<T, Tile, Loss> {
    using Base = Engine<T, Tile, Loss>;
    using Base::arena_, Base::error_, Base::launch, Base::loss_;
    using Base::pass_of, Base::rows_, Base::columns_, Base::given_, Base::splits, Base::stream_;
    using Base::stride_;
    using typename Base::Number, typename Base::Packed, typename Base::Word;

  public:
    using Base::Base;

    void run(const void* grad, int64_t grad_stride, const void* losses, const double* log_sum_exp,
             const double* slope, const int* counts, const Gradients& to, bool column_gradients) {
        const FixedPoint fixed = symmetric() ? fixed_point() : FixedPoint{};
        Base::prepare(fixed.sums);
        if (counts == nullptr) counts = counts_of_positives();
        const Number* const scale = upstream(grad, grad_stride, log_sum_exp, slope, to.temperature);
        const auto weights = [&](const Side<Word>& side, int first) {
            Weights<Number> found;
            found.rows = arena_.template take<RowLoss<Number>>(side.padded);
            found.positives = arena_.template take<Towards<Number>>(side.padded);
            launch(side.padded, kRowThreads, [&](dim3 grid) {
                return LELKERN_LAUNCH(contrastive_weights<Number>, grid, dim3(kRowThreads), 0,
                                      stream_, static_cast<const Number*>(grad), grad_stride,
                                      static_cast<const Number*>(losses), log_sum_exp, counts,
                                      first, side.count, scale, loss_.temperature,
                                      loss_.temperature_element, loss_.decoupled, found,
                                      side.padded);
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
        const GivenPositives<T, Word> given{given_.side, given_.factors,
                                            out_of({{to.given, Matrix()}})};
        backward_pass(rows_, columns_.side, of_rows, of_columns, given, scale,
                      out_of({{to.rows[0], to.rows[1]}}), fixed);
        if (column_gradients) {
            backward_pass(columns_, rows_.side, of_columns, of_rows, {}, scale,
                          out_of({{to.columns, Matrix()}}), {});
        }
    }

  private:
    using typename Base::Parts;

    static RowsOut<T> out_of(const Parts& parts) {
        const Matrix &first = parts.at[0], &second = parts.at[1];
        return {{static_cast<T*>(first.data), static_cast<T*>(second.data)},
                {first.stride, second.stride},
                static_cast<int>(first.count)};
    }

    // By label, where forward has handed on no counts.
    const int* counts_of_positives() {
        if (loss_.positives != Positives::labelled) return nullptr;
        int* const counts = arena_.template take<int>(rows_.side.padded);
        launch(rows_.side.count, kLabelRows, [&](dim3 grid) {
            return launch_count(grid, stream_, loss_.labels, rows_.side.count, counts);
        });
        return counts;
    }

    // Finds the gradient of the temperature, and returns the scale of weights where they have one,
    // which is where they are rounded to 16 bits or summed in fixed point.
    Number* upstream(const void* grad, int64_t grad_stride, const double* log_sum_exp,
                     const double* slope, void* to_temperature) {
        const bool fixed = symmetric();
        Number* const scale =
            Tile::tensor_cores || fixed ? arena_.template take<Number>(1) : nullptr;
        const int numbers = scale == nullptr ? 1 : 2;
        launch(numbers, 1, [&](dim3 grid) {
            return LELKERN_LAUNCH(
                contrastive_upstream<Number>, grid, dim3(kUpstreamThreads), 0, stream_,
                static_cast<const Number*>(grad), grad_stride, static_cast<int>(loss_.losses()),
                slope, loss_.temperature, loss_.temperature_element, to_temperature,
                fixed ? log_sum_exp : nullptr, fixed ? rows_.factors : nullptr, scale);
        });
        return scale;
    }

    // Half of the similarities serve where they are a third of the work, and nothing is gained by
    // more blocks.
    bool symmetric() const {
        const int64_t tiles = rows_.side.padded / kTile;
        return std::is_same_v<Tile, SymmetricTile> && loss_.self && loss_.normalize &&
               tiles * (tiles / 2 + 1) * slabs_of<Tile>(stride_) >= 4 * loss_.multiprocessors;
    }

    void backward_pass(const Packed& still, const Side<Word>& moving, const Weights<Number>& own,
                       const Weights<Number>& other, const GivenPositives<T, Word>& given,
                       const Number* scale, const RowsOut<T>& out, const FixedPoint& fixed) {
        const GradientSums<Number> sums = symmetric() ? symmetric_sums(still.side, own, fixed)
                                                      : row_sums(still.side, moving, own, other);
        launch(still.side.count, kPrepareThreads / kWarp, [&](dim3 grid) {
            return LELKERN_LAUNCH((contrastive_project<T, Word>), grid, dim3(kPrepareThreads), 0,
                                  stream_, sums, still.side, still.factors, own, given,
                                  static_cast<int>(loss_.D), loss_.normalize, scale,
                                  loss_.temperature, loss_.temperature_element, out);
        });
    }

    // Of one side, each block all of its rows'.
    GradientSums<Number> row_sums(const Side<Word>& still, const Side<Word>& moving,
                                  const Weights<Number>& own, const Weights<Number>& other) {
        return with_backward_tile<Tile>(stride_, [&](auto tile) {
            return row_sums_of<decltype(tile)>(still, moving, own, other);
        });
    }

    template <typename By>
    GradientSums<Number> row_sums_of(const Side<Word>& still, const Side<Word>& moving,
                                     const Weights<Number>& own, const Weights<Number>& other) {
        const int64_t size = static_cast<int64_t>(still.padded) * stride_;
        const int slabs = slabs_of<By>(stride_);
        const Pass<Word> pass = pass_of(still, moving,
                                        splits(still.padded / kTile * slabs, moving.padded / kTile,
                                               Base::most_shares(size), By::blocks));
        Number* const sums = arena_.template take<Number>(size * pass.splits);
        launch(still.padded, kTile, [&](dim3 grid) {
            grid.y = pass.splits;
            grid.z = slabs;
            const auto go = [&](auto kernel) {
                return LELKERN_LAUNCH(kernel, grid, dim3(By::threads), backward_shared<By>(stride_),
                                      stream_, pass, own, other, sums);
            };
            return loss_.positives == Positives::labelled ? go(contrastive_backward<By, true>)
                                                          : go(contrastive_backward<By, false>);
        });
        return {sums, pass.splits, still.padded, stride_, {}};
    }

    // Where the gradients of rows that are compared with themselves are added up.
    FixedPoint fixed_point() {
        const int64_t size = static_cast<int64_t>(rows_.side.padded) * stride_;
        return {arena_.template take<unsigned long long>(size),
                fixed_point_scale(rows_.side.count)};
    }

    // Of these, from half of the similarities.
    GradientSums<Number> symmetric_sums(const Side<Word>& side, const Weights<Number>& weights,
                                        const FixedPoint& sums) {
        const int tiles = side.padded / kTile, slabs = slabs_of<Tile>(stride_);
        if constexpr (std::is_same_v<Tile, SymmetricTile>) {
            const Pass<Word> pass = pass_of(
                side, side,
                splits(tiles * slabs, symmetric_tiles(tiles, 0), kMostSplits, Tile::blocks));
            launch(side.padded, kTile, [&](dim3 grid) {
                grid.y = pass.splits;
                grid.z = slabs;
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
};

}  // namespace

int64_t backward_workspace(const Loss& loss, bool column_gradients) {
    return with_engine<BackwardEngine>(loss, nullptr, nullptr, [&](auto engine) {
        engine.run(nullptr, 0, nullptr, nullptr, nullptr, nullptr, {}, column_gradients);
        return engine.workspace();
    });
}

cudaError_t backward(const Loss& loss, const void* grad, int64_t grad_stride, const void* losses,
                     const double* log_sum_exp, const double* slope, const int* counts,
                     const Gradients& to, void* workspace, cudaStream_t stream) {
    return with_engine<BackwardEngine>(loss, workspace, stream, [&](auto engine) {
        engine.run(grad, grad_stride, losses, log_sum_exp, slope, counts, to,
                   to.columns.data != nullptr);
        return engine.error();
    });
}

}  // namespace lelkern::contrastive::cuda
