// What a launch updates: a table that travels as a kernel's parameter, so that it needs no memory,
// no copy and no care for its lifetime, be it in a stream or in a CUDA graph.
#pragma once

#include <cstdint>

#include "ema/cuda/ema.h"
#include "shared/cuda/device.cuh"

namespace lelkern::ema::cuda {

constexpr int kEmaChunk = 4096;  // numbers of a pair, which one block updates

// Chunks of a launch are numbered throughout: a row's own follow those of the row before.
struct EmaRow {
    void* ema;
    const void* param;
    int64_t count;
    uint32_t first_chunk;
    uint32_t tensor;  // its number in the whole list
    uint8_t types;    // 4 times that of the average, and that of the parameter
    uint8_t head;     // numbers before the first whole vector, or kNoVectors
    uint16_t shape;   // the word that holds the number of dimensions, which follow; 0: none

    __device__ Element ema_element() const { return static_cast<Element>(types / 4); }
    __device__ Element param_element() const { return static_cast<Element>(types % 4); }
};

constexpr int kNoVectors = 255;
constexpr int kRowWords = 5, kDimensionWords = 3;

// Rows grow from the first word on, shapes from the last one down.
template <int word_count>
struct EmaTable {
    uint64_t words[word_count];
    int rows;

    // Row i without what only a row's own block needs.
    __host__ __device__ uint32_t first_chunk(int i) const {
        return static_cast<uint32_t>(words[i * kRowWords + 3]);
    }

    __device__ EmaRow row(int i) const {
        const uint64_t* at = words + i * kRowWords;
        return {reinterpret_cast<void*>(at[0]),     reinterpret_cast<const void*>(at[1]),
                static_cast<int64_t>(at[2]),        static_cast<uint32_t>(at[3]),
                static_cast<uint32_t>(at[3] >> 32), static_cast<uint8_t>(at[4]),
                static_cast<uint8_t>(at[4] >> 8),   static_cast<uint16_t>(at[4] >> 16)};
    }

    void set_row(int i, const EmaRow& row) {
        uint64_t* at = words + i * kRowWords;
        at[0] = reinterpret_cast<uint64_t>(row.ema);
        at[1] = reinterpret_cast<uint64_t>(row.param);
        at[2] = static_cast<uint64_t>(row.count);
        at[3] = row.first_chunk | static_cast<uint64_t>(row.tensor) << 32;
        at[4] = row.types | row.head << 8 | row.shape << 16;
    }

    // The row that chunk is of.
    __device__ int row_of(uint32_t chunk) const {
        int low = 0, high = rows;
        while (high - low > 1) {
            const int middle = (low + high) / 2;
            if (first_chunk(middle) <= chunk) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return low;
    }
};

// With the other parameters at most 4,096 bytes, which every driver takes, and at most 32,764.
constexpr int kSmallEmaWords = 504, kLargeEmaWords = 4088;

// Fills a table with pairs until it is full.
template <int word_count>
class EmaTableBuilder {
  public:
    // Takes a pair unless there is no room.
    bool add(const EmaPair& pair, int64_t tensor, int head) {
        const int64_t chunks = (pair.count + kEmaChunk - 1) / kEmaChunk;
        const int room = end_ - table_.rows * kRowWords;
        if (room < words_of(pair) || chunks_ + chunks > kMostChunks) return false;
        if (pair.dimension_count > 0) {
            end_ -= words_of(pair) - kRowWords;
            uint64_t* at = table_.words + end_;
            *at++ = static_cast<uint64_t>(pair.dimension_count);
            for (int d = 0; d < pair.dimension_count; ++d) {
                const Dimension& dimension = pair.dimensions[d];
                *at++ = static_cast<uint64_t>(dimension.size);
                *at++ = static_cast<uint64_t>(dimension.ema_stride);
                *at++ = static_cast<uint64_t>(dimension.param_stride);
            }
        }
        const int types =
            4 * static_cast<int>(pair.ema_element) + static_cast<int>(pair.param_element);
        table_.set_row(
            table_.rows++,
            {pair.ema, pair.param, pair.count, static_cast<uint32_t>(chunks_),
             static_cast<uint32_t>(tensor), static_cast<uint8_t>(types), static_cast<uint8_t>(head),
             static_cast<uint16_t>(pair.dimension_count > 0 ? end_ : 0)});
        chunks_ += chunks;
        return true;
    }

    void clear() {
        table_.rows = 0;
        end_ = word_count;
        chunks_ = 0;
    }

    static int words_of(const EmaPair& pair) {
        const int dimensions = pair.dimension_count;
        return kRowWords + (dimensions > 0 ? 1 + kDimensionWords * dimensions : 0);
    }

    const EmaTable<word_count>& table() const { return table_; }
    unsigned chunks() const { return static_cast<unsigned>(chunks_); }

  private:
    static constexpr int64_t kMostChunks = 0x7fffffff;  // blocks of a launch

    EmaTable<word_count> table_{};
    int end_ = word_count;  // where shapes begin
    int64_t chunks_ = 0;
};

}  // namespace lelkern::ema::cuda
