// SigLIP's losses and gradients of rows of every type.

#include "contrastive/cuda/siglip.h"

#include "contrastive/cuda/contrastive_engine.cuh"
#include "contrastive/cuda/siglip.cuh"

namespace lelkern::contrastive::cuda {
namespace {

template <typename T, typename Tile>
class SiglipEngine : public Engine<T, Tile, SigmoidLoss> {
    using Base = Engine<T, Tile, SigmoidLoss>;
    using Base::arena_, Base::launch, Base::loss_, Base::pass_of, Base::rows_, Base::columns_;
    using Base::splits, Base::stream_, Base::stride_;
    using typename Base::Number, typename Base::Packed, typename Base::Word;

  public:
    using Base::Base;

    void forward(void* losses, void* slopes) {
        Base::prepare();
        const Side<Word>&still = rows_.side, &moving = columns_.side;
        const Pass<Word> pass = pass_of(still, moving,
                                        splits(still.padded / kTile, moving.padded / kTile,
                                               kMostForwardSplits, Tile::forward_blocks));
        Number* const sums = arena_.template take<Number>(
            DecisionSums<Number>::fields * static_cast<int64_t>(still.padded) * pass.splits);
        launch(still.padded, kTile, [&](dim3 grid) {
            grid.y = pass.splits;
            const auto go = [&](auto kernel) {
                return LELKERN_LAUNCH(kernel, grid, dim3(Tile::threads),
                                      forward_shared<Tile>(stride_), stream_, pass, logits(), sums);
            };
            return labelled() ? go(siglip_forward<Tile, true>) : go(siglip_forward<Tile, false>);
        });
        launch(still.count, kWarp, [&](dim3 grid) {
            return LELKERN_LAUNCH(siglip_finish<Number>, grid, dim3(kSharesThreads), 0, stream_,
                                  sums, still.count, still.padded, pass.splits,
                                  static_cast<Number*>(losses), static_cast<Number*>(slopes));
        });
    }

    void backward(const void* grad, int64_t grad_stride, const void* slopes,
                  const SigmoidGradients& to, bool column_gradients) {
        const Number* const of_losses = static_cast<const Number*>(grad);
        const Side<Word>& rows = rows_.side;
        Base::prepare();
        Number* const scale = Tile::tensor_cores ? arena_.template take<Number>(1) : nullptr;
        const int numbers = scale == nullptr ? 2 : 3;
        launch(numbers, 1, [&](dim3 grid) {
            return LELKERN_LAUNCH(siglip_numbers<Number>, grid, dim3(kUpstreamThreads), 0, stream_,
                                  of_losses, grad_stride, static_cast<const Number*>(slopes),
                                  rows.count, logits(), to.bias, to.scale, scale);
        });
        Number* const upstream = arena_.template take<Number>(rows.padded);
        launch(rows.padded, kRowThreads, [&](dim3 grid) {
            return LELKERN_LAUNCH(siglip_upstream<Number>, grid, dim3(kRowThreads), 0, stream_,
                                  of_losses, grad_stride, rows.count, rows.padded, scale, upstream);
        });
        backward_pass(rows_, columns_.side, upstream, nullptr, scale, to.rows);
        if (column_gradients) {
            backward_pass(columns_, rows, nullptr, upstream, scale, to.columns);
        }
    }

  private:
    bool labelled() const { return loss_.positives == Positives::labelled; }

    LogitsOf logits() const {
        return {loss_.scale, loss_.bias, loss_.scale_element, loss_.bias_element};
    }

    // Gradients of one side, each block all of its rows'. own, other: upstream gradients of the
    // side that has losses, or null.
    void backward_pass(const Packed& still, const Side<Word>& moving, const Number* own,
                       const Number* other, const Number* scale, const Matrix& to) {
        with_backward_tile<Tile>(stride_, [&](auto tile) {
            backward_pass_by<decltype(tile)>(still, moving, own, other, scale, to);
        });
    }

    template <typename By>
    void backward_pass_by(const Packed& still, const Side<Word>& moving, const Number* own,
                          const Number* other, const Number* scale, const Matrix& to) {
        const Side<Word>& side = still.side;
        const int64_t size = static_cast<int64_t>(side.padded) * stride_;
        const int slabs = slabs_of<By>(stride_);
        const int at_once = labelled() ? kSiglipBlocks<By, true> : kSiglipBlocks<By, false>;
        const Pass<Word> pass = pass_of(side, moving,
                                        splits(side.padded / kTile * slabs, moving.padded / kTile,
                                               Base::most_shares(size), at_once));
        Number* const sums = arena_.template take<Number>(size * pass.splits);
        launch(side.padded, kTile, [&](dim3 grid) {
            grid.y = pass.splits;
            grid.z = slabs;
            const auto go = [&](auto kernel) {
                return LELKERN_LAUNCH(kernel, grid, dim3(By::threads),
                                      siglip_backward_shared<By>(stride_), stream_, pass, logits(),
                                      other, sums);
            };
            return labelled() ? go(siglip_backward<By, true>) : go(siglip_backward<By, false>);
        });
        launch(side.count, kPrepareThreads / kWarp, [&](dim3 grid) {
            return LELKERN_LAUNCH((siglip_project<T, Word>), grid, dim3(kPrepareThreads), 0,
                                  stream_, sums, pass.splits, stride_, side, still.factors,
                                  static_cast<int>(loss_.D), loss_.normalize, own, scale,
                                  static_cast<double>(kSlopeScale<Tile>), logits(),
                                  static_cast<T*>(to.data), to.stride);
        });
    }
};

}  // namespace

int64_t forward_workspace(const SigmoidLoss& loss) {
    return with_engine<SiglipEngine>(loss, nullptr, nullptr, [](auto engine) {
        engine.forward(nullptr, nullptr);
        return engine.workspace();
    });
}

int64_t backward_workspace(const SigmoidLoss& loss, bool column_gradients) {
    return with_engine<SiglipEngine>(loss, nullptr, nullptr, [&](auto engine) {
        engine.backward(nullptr, 0, nullptr, {}, column_gradients);
        return engine.workspace();
    });
}

cudaError_t forward(const SigmoidLoss& loss, void* losses, void* slopes, void* workspace,
                    cudaStream_t stream) {
    return with_engine<SiglipEngine>(loss, workspace, stream, [&](auto engine) {
        engine.forward(losses, slopes);
        return engine.error();
    });
}

cudaError_t backward(const SigmoidLoss& loss, const void* grad, int64_t grad_stride,
                     const void* slopes, const SigmoidGradients& to, void* workspace,
                     cudaStream_t stream) {
    return with_engine<SiglipEngine>(loss, workspace, stream, [&](auto engine) {
        engine.backward(grad, grad_stride, slopes, to, to.columns.data != nullptr);
        return engine.error();
    });
}

}  // namespace lelkern::contrastive::cuda
