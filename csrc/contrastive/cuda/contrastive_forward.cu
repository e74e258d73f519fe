// The losses of rows of every type.

#include "contrastive/cuda/contrastive_engine.cuh"
#include "contrastive/cuda/contrastive_forward.cuh"

namespace lelkern::contrastive::cuda {
namespace {

template <typename T, typename Tile>
class ForwardEngine : public Engine<T, Tile, Loss> {
    using Base = Engine<T, Tile, Loss>;
    using Base::arena_, Base::error_, Base::launch, Base::loss_;
    using Base::pass_of, Base::rows_, Base::columns_, Base::given_, Base::splits, Base::stream_;
    using Base::stride_;
    using typename Base::Number, typename Base::Packed, typename Base::Word;

  public:
    using Base::Base;

    void run(void* losses, double* log_sum_exp, double* slope, void* stats, int* counts) {
        Base::prepare();
        const int64_t rows = rows_.side.count;
        Number* const out = static_cast<Number*>(losses);
        Number* const accuracy = static_cast<Number*>(stats);
        forward_pass(rows_.side, columns_.side, out, log_sum_exp, slope, accuracy, counts);
        if (loss_.both) {
            forward_pass(columns_.side, rows_.side, out + rows, log_sum_exp + rows,
                         slope == nullptr ? nullptr : slope + rows,
                         accuracy == nullptr ? nullptr : accuracy + rows, nullptr);
        }
    }

  private:
    void forward_pass(const Side<Word>& still, const Side<Word>& moving, Number* losses,
                      double* log_sum_exp, double* slope, Number* accuracy, int* counts) {
        const Pass<Word> pass = pass_of(still, moving,
                                        splits(still.padded / kTile, moving.padded / kTile,
                                               kMostForwardSplits, Tile::forward_blocks));
        const int64_t size = static_cast<int64_t>(still.padded) * pass.splits;
        Number* const sums = arena_.template take<Number>(RowSums<Number>::fields * size);
        Number* const positive = arena_.template take<Number>(still.padded);
        const bool labelled = loss_.positives == Positives::labelled;
        const bool given = loss_.positives == Positives::given;
        const bool stats = accuracy != nullptr || slope != nullptr;
        launch(still.padded, kTile, [&](dim3 grid) {
            grid.y = pass.splits;
            const auto go = [&](auto kernel) {
                return LELKERN_LAUNCH(kernel, grid, dim3(Tile::threads),
                                      forward_shared<Tile>(stride_), stream_, pass, sums, positive);
            };
            if (labelled) {
                return stats ? go(contrastive_forward<Tile, true, true>)
                             : go(contrastive_forward<Tile, true, false>);
            }
            return stats ? go(contrastive_forward<Tile, false, true>)
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
        launch(still.count, kWarp, [&](dim3 grid) {
            return LELKERN_LAUNCH(
                contrastive_finish<Number>, grid, dim3(kSharesThreads), 0, stream_, sums, positive,
                labelled, still.count, still.padded, pass.splits, rounding, loss_.temperature,
                loss_.temperature_element, loss_.decoupled, losses, log_sum_exp, slope, accuracy,
                accuracy == nullptr ? nullptr : accuracy + loss_.losses(), counts);
        });
    }
};

}  // namespace

int64_t forward_workspace(const Loss& loss) {
    return with_engine<ForwardEngine>(loss, nullptr, nullptr, [](auto engine) {
        engine.run(nullptr, nullptr, nullptr, nullptr, nullptr);
        return engine.workspace();
    });
}

cudaError_t forward(const Loss& loss, void* losses, double* log_sum_exp, double* slope, void* stats,
                    int* counts, void* workspace, cudaStream_t stream) {
    return with_engine<ForwardEngine>(loss, workspace, stream, [&](auto engine) {
        engine.run(losses, log_sum_exp, slope, stats, counts);
        return engine.error();
    });
}

}  // namespace lelkern::contrastive::cuda
