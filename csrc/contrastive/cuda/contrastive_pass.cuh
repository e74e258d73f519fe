// What the contrastive kernels know of a loss. In one pass one side stands still, a block of its
// rows for each block of threads, and the other streams past: candidates of the rows, or the other
// way round. Similarities exist for one tile at a time.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "contrastive/cuda/contrastive.h"
#include "shared/cuda/instructions.cuh"
#include "shared/cuda/number.cuh"

namespace lelkern::contrastive::cuda {

constexpr int kTile = 64;          // rows of either side in a tile
constexpr int kRowBytes = 128;     // of a row that are in shared memory at a time
constexpr int kPitchBytes = 144;   // between such rows: eight of them lie in all 32 banks
constexpr float kLowest = -1e30f;  // below every similarity, and exp2 of its differences is 0
constexpr double kLn2 = 0.6931471805599453;

// Stands for a number as the sum of two of bfloat16, which hold 2^-17 of it. A chunk of a row is
// the first terms of its features, and then the second ones.
struct TwoTerms {
    uint32_t bits;
};

// What numbers of type Word are summed in.
template <typename Word>
using NumberOf = std::conditional_t<std::is_same_v<Word, double>, double, float>;

// What the tensor cores multiply, and how many of them a word is.
template <typename Word>
using TermOf = std::conditional_t<std::is_same_v<Word, TwoTerms>, __nv_bfloat16, Word>;
template <typename Word>
constexpr int kTerms = static_cast<int>(sizeof(Word) / sizeof(TermOf<Word>));

// Whether rows of such words are still to be multiplied by what their norm is short of 1.
template <typename Word>
constexpr bool kHasNorms = sizeof(Word) == 2;

// Where a row has a term of feature d, in bytes.
template <typename Word>
__device__ constexpr int offset_of(int d, int term) {
    constexpr int features = kRowBytes / static_cast<int>(sizeof(Word));
    constexpr int size = static_cast<int>(sizeof(TermOf<Word>));
    return d / features * kRowBytes + term * features * size + d % features * size;
}

// One side, packed: normalised, padded with zeros to whole tiles and whole rows of kRowBytes.
template <typename Word>
struct Side {
    const Word* words;  // (padded, stride)
    // What a row is still to be multiplied by where words are of 16 bits (kHasNorms), in which a
    // row of norm 1 would not be exact: rows are scaled by a power of 2 only. Otherwise null.
    const float* inverse_norm;
    const int64_t* ids;  // or null
    const int64_t* labels;
    int count, padded;
    int period;  // of ids: both halves of pairs have them

    __device__ int64_t id(int i) const { return ids[i < period ? i : i - period]; }
};

template <typename Word>
struct Pass {
    Side<Word> still, moving;
    int stride;  // of the words of a row
    int splits;  // blocks that share what moves past one tile
    int pairs;   // N of `paired`
    Positives positives;
    bool self;
    const void* temperature;  // of a loss that has one
    Element temperature_element;
};

// 1 / (temperature ln 2), so that exp(s / temperature) = exp2(scale s); nan if it is invalid.
template <typename Number>
__device__ Number scale_of(const void* temperature, Element element) {
    const double value = read_number(temperature, element);
    return static_cast<Number>(value > 0 && std::isfinite(value) ? 1 / (value * kLn2) : nan(""));
}

// What is subnormal is nothing beside the largest, which is 1.
__device__ inline float exp2_of(float x) { return exp2_approximately(x); }
__device__ inline double exp2_of(double x) { return exp2(x); }

__device__ inline float larger(float a, float b) { return fmaxf(a, b); }
__device__ inline double larger(double a, double b) { return fmax(a, b); }

// What moving row j is to still row i.
enum class Role { none, positive, negative };

template <bool labelled, typename Word>
__device__ Role role_of(const Pass<Word>& pass, int i, int j) {
    if (i >= pass.still.count || j >= pass.moving.count || (pass.self && i == j)) return Role::none;
    if (labelled) {
        if (pass.still.labels[i] == pass.moving.labels[j]) return Role::positive;
    } else if (pass.positives == Positives::paired) {
        if (j == (i < pass.pairs ? i + pass.pairs : i - pass.pairs)) return Role::positive;
    } else if (pass.positives == Positives::aligned) {
        if (j == i) return Role::positive;
    }
    if (pass.still.ids != nullptr && pass.still.id(i) == pass.moving.id(j)) return Role::none;
    return Role::negative;
}

// Which moving tiles have nothing but negatives, or positives by label, for a block's still rows:
// what a tile is asked, as far as it is the same for all of them.
class PlainTiles {
  public:
    template <typename Word>
    __device__ explicit PlainTiles(const Pass<Word>& pass) : i0_(blockIdx.x * kTile) {
        const bool plain = pass.still.ids == nullptr && i0_ + kTile <= pass.still.count;
        last_ = plain ? pass.moving.count - kTile : -1;
        own_ = pass.self || pass.positives == Positives::aligned ? i0_ : -1;
        pairs_ = pass.positives == Positives::paired ? pass.pairs : -kTile;
        for (int* of : {&i0_, &last_, &own_, &pairs_}) keep(*of);
    }

    __device__ bool operator()(int j0) const {
        // Rows of both tiles are as far apart as their first ones, but for less than a tile.
        const int from_pair = abs(i0_ - j0) - pairs_;
        return j0 <= last_ && j0 != own_ && abs(from_pair) >= kTile;
    }

  private:
    int i0_, last_, own_, pairs_;
};

// The roles of a plain tile without labels.
struct AllNegative {
    __device__ Role operator()(int, int) const { return Role::negative; }
};

// Calls f(role), where role(i, j) says what row j of the moving tile that j0 is in is to row i of
// the block's still ones: without looking at what most tiles, which are plain, have none of.
template <bool labelled, typename Word, typename F>
__device__ void with_roles(const Pass<Word>& pass, const PlainTiles& plain, int j0, const F& f) {
    if (!plain(j0 / kTile * kTile)) {
        f([&](int i, int j) { return role_of<labelled>(pass, i, j); });
    } else if constexpr (labelled) {
        f([&](int i, int j) {
            const bool alike = pass.still.labels[i] == pass.moving.labels[j];
            return alike ? Role::positive : Role::negative;
        });
    } else {
        f(AllNegative());
    }
}

}  // namespace lelkern::contrastive::cuda
