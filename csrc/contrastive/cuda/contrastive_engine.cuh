// What both directions of a loss begin with: its rows, packed, in a workspace. And how they share
// their work between blocks of threads.
#pragma once

#include <algorithm>
#include <limits>
#include <type_traits>

#include "contrastive/cuda/contrastive_rows.cuh"
#include "contrastive/cuda/contrastive_tiles.cuh"

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

constexpr int64_t kSmallestWorkspace = 256;  // for without one nothing would be launched
// Blocks that share a row's candidates: their sums are a few numbers each, gradients whole rows.
constexpr int64_t kMostForwardSplits = 256, kMostSplits = 64;
constexpr int64_t kPartialBytes = 32 << 20;  // for gradients that several blocks share

inline int whole_tiles(int64_t rows) {
    return static_cast<int>((rows + kTile - 1) / kTile * kTile);
}

inline dim3 blocks_for(int64_t items, int each) {
    return dim3(static_cast<unsigned>((items + each - 1) / each));
}

// Launches contrastive_prepare and contrastive_count.
template <typename T, typename Word>
cudaError_t launch_prepare(dim3 grid, cudaStream_t stream, const Packings<T, Word>& sides, int D,
                           int stride, bool normalize, unsigned long long* cleared);
cudaError_t launch_count(dim3 grid, cudaStream_t stream, const int64_t* labels, int count,
                         int* counts);

// T: of the embeddings; L: Loss, or what else begins with a comparison.
template <typename T, typename Tile, typename L>
class Engine {
  public:
    using Word = typename Tile::Word;
    using Number = typename Tile::Number;

    Engine(const L& loss, void* workspace, cudaStream_t stream)
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
        columns_.side.labels = loss.self ? loss.labels : loss.column_labels;
    }

    int64_t workspace() const { return std::max(arena_.bytes(), kSmallestWorkspace); }
    cudaError_t error() const { return error_; }

  protected:
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
        packings_.at[sides_++] = {rows, packed.side.padded, words, packed.factors, inverse_norm};
        return packed;
    }

    // What all else begins with. cleared: see contrastive_prepare.
    void prepare(unsigned long long* cleared = nullptr) {
        int most = 0;
        for (const auto& side : packings_.at) most = std::max(most, side.padded);
        launch(most, kPrepareThreads / kWarp, [&](dim3 grid) {
            grid.y = static_cast<unsigned>(sides_);
            return launch_prepare(grid, stream_, packings_, static_cast<int>(loss_.D), stride_,
                                  loss_.normalize, cleared);
        });
    }

    // How many blocks may share gradients of so many numbers.
    static int64_t most_shares(int64_t numbers) {
        const int64_t bytes = std::max<int64_t>(1, numbers * sizeof(Number));
        return std::clamp<int64_t>(kPartialBytes / bytes, 1, kMostSplits);
    }

    // How many of at most `most` blocks should share what one block would do with so many tiles, so
    // that multiprocessors, which have `at_once` blocks at a time, all have some to the end.
    int splits(int64_t blocks, int tiles, int64_t most, int at_once) const {
        // Long sums of tensor cores drift, as they truncate; those of shares are added in double.
        const int at_least = Tile::tensor_cores ? tiles / 512 : 1;
        const int64_t at_most = std::min<int64_t>({most, std::max(tiles, 1)});
        int best = 1;
        int64_t least = std::numeric_limits<int64_t>::max();
        for (int count = std::min<int>(std::max(at_least, 1), at_most); count <= at_most; ++count) {
            const int64_t places = at_once * loss_.multiprocessors;
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
        Pass<Word> pass{still,           moving,     stride_, splits, rows_.side.count / 2,
                        loss_.positives, loss_.self, {},      {}};
        if constexpr (std::is_same_v<L, Loss>) {
            pass.temperature = loss_.temperature;
            pass.temperature_element = loss_.temperature_element;
        }
        return pass;
    }

    const L& loss_;
    Arena arena_;
    cudaStream_t stream_;
    cudaError_t error_ = cudaSuccess;
    int stride_;
    Packings<T, Word> packings_{};
    int sides_ = 0;
    Packed rows_, columns_, given_;
};

// Calls f(tile) with the tile of a backward pass over rows of so many words: the wider ones where
// they have fewer blocks compute the same similarities.
template <typename Tile, typename F>
auto with_backward_tile(int stride, const F& f) {
    using Wider = WiderTilesOf<Tile>;
    if (stride > Wider::Wide::features) return f(typename Wider::Widest());
    if (stride > Tile::features) return f(typename Wider::Wide());
    return f(Tile());
}

// How many blocks share the features of a row.
template <typename Tile>
int slabs_of(int stride) {
    return (stride + Tile::features - 1) / Tile::features;
}

// Calls f with an engine, ForwardEngine or BackwardEngine, for the loss: for its embeddings, in
// what they are multiplied in.
template <template <typename T, typename Tile> typename Engine, typename L, typename F>
auto with_engine(const L& loss, void* workspace, cudaStream_t stream, const F& f) {
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
