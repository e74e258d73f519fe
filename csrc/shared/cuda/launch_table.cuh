// What a launch works on, where that is tensors of lists: a table that travels as a kernel's
// parameter, so that it needs no memory, no copy and no care for its lifetime, be it in a stream or
// in a CUDA graph. A row of it is an entry of the lists.
//
// A block works on a chunk, neighbouring numbers of one entry. The chunks of a launch are numbered
// throughout: a row's own follow those of the row before.
#pragma once

#include <cstdint>
#include <utility>

#include "shared/cuda/device.cuh"
#include "shared/cuda/kernel_entry.h"

namespace lelkern {

constexpr int kTableChunk = 4096;  // numbers
constexpr int kVectorBytes = 16;   // that a thread moves at once

// Instead of the numbers before the first whole vector, where numbers are moved one by one.
constexpr int kNoVectors = 255;

template <int lists>
struct TableRow {
    static_assert(lists <= 4);  // two bits each in `types`
    static constexpr int words = lists + 3;

    void* data[lists];
    int64_t count;
    uint32_t first_chunk;
    uint32_t entry;  // its number in the lists
    uint8_t types;   // of the tensors, the first list's highest
    uint8_t head;    // numbers before the first whole vector, or kNoVectors
    uint16_t shape;  // the word that holds the number of dimensions, which follow; 0: none

    template <int list>
    __device__ Element element() const {
        constexpr int shift = 2 * (lists - 1 - list);
        return static_cast<Element>(list == 0 ? types >> shift : types >> shift & 3);
    }
};

// Rows grow from the first word on, shapes from the last one down.
template <int lists, int word_count>
struct LaunchTable {
    using Row = TableRow<lists>;
    static constexpr int capacity = word_count;

    uint64_t words[word_count];
    int rows;

    // Of row i, without what only a row's own block needs.
    __host__ __device__ uint32_t first_chunk(int i) const {
        return static_cast<uint32_t>(words[i * Row::words + lists + 1]);
    }

    __device__ Row row(int i) const {
        return row_at(words + i * Row::words, std::make_integer_sequence<int, lists>());
    }

    void set_row(int i, const Row& row) {
        uint64_t* at = words + i * Row::words;
        for (int list = 0; list < lists; ++list)
            at[list] = reinterpret_cast<uint64_t>(row.data[list]);
        at += lists;
        at[0] = static_cast<uint64_t>(row.count);
        at[1] = row.first_chunk | static_cast<uint64_t>(row.entry) << 32;
        at[2] = row.types | row.head << 8 | row.shape << 16;
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

    // The dimensions of a row, after their number; or null.
    __device__ const uint64_t* dimensions(const Row& row) const {
        return row.shape == 0 ? nullptr : words + row.shape;
    }

  private:
    // As one expression: the compiler needs more registers for a row that is filled bit by bit.
    template <int... list>
    __device__ static Row row_at(const uint64_t* at, std::integer_sequence<int, list...>) {
        return {
            {reinterpret_cast<void*>(at[list])...},    static_cast<int64_t>(at[lists]),
            static_cast<uint32_t>(at[lists + 1]),      static_cast<uint32_t>(at[lists + 1] >> 32),
            static_cast<uint8_t>(at[lists + 2]),       static_cast<uint8_t>(at[lists + 2] >> 8),
            static_cast<uint16_t>(at[lists + 2] >> 16)};
    }
};

// Where the numbers of a chunk are that a block does one by one.
template <int lists>
struct TablePlaces {
    int64_t begin;               // of the chunk, in the entry
    int head, in_vectors;        // numbers before those that are done as vectors, and these
    const uint64_t* dimensions;  // see LaunchTable

    // Of the i-th of them: its places in the tensors, one after the other.
    template <typename... Place>
    __device__ void operator()(int i, Place&... at) const {
        static_assert(sizeof...(Place) == lists);
        const int64_t number = begin + i + (i < head ? 0 : in_vectors);
        if (dimensions == nullptr) {
            ((at = number), ...);
            return;
        }
        ((at = 0), ...);
        auto rest = static_cast<uint64_t>(number);
        const uint64_t* dimension = dimensions + 1;
#pragma unroll 1
        for (auto left = static_cast<int>(dimensions[0]); left > 0; --left) {
            // The outermost holds the rest.
            const uint64_t outer = left > 1 ? rest / dimension[0] : 0;
            const auto index = static_cast<int64_t>(rest - outer * dimension[0]);
            int list = 0;
            ((at += index * static_cast<int64_t>(dimension[++list])), ...);
            rest = outer;
            dimension += 1 + lists;
        }
    }
};

// Fills a table with entries until it is full.
template <int lists, int word_count>
class LaunchTableBuilder {
  public:
    // Takes an entry unless there is no room.
    bool add(const KernelEntry<lists>& entry, int64_t number, int head) {
        const int64_t chunks = (entry.count + kTableChunk - 1) / kTableChunk;
        const int room = end_ - table_.rows * Row::words;
        if (room < words_of(entry) || chunks_ + chunks > kMostChunks) return false;
        if (entry.dimension_count > 0) {
            end_ -= words_of(entry) - Row::words;
            uint64_t* at = table_.words + end_;
            *at++ = static_cast<uint64_t>(entry.dimension_count);
            for (int d = 0; d < entry.dimension_count; ++d) {
                *at++ = static_cast<uint64_t>(entry.dimensions[d].size);
                for (const int64_t stride : entry.dimensions[d].strides) {
                    *at++ = static_cast<uint64_t>(stride);
                }
            }
        }
        Row row;
        int types = 0;
        for (int list = 0; list < lists; ++list) {
            row.data[list] = entry.data[list];
            types = 4 * types + static_cast<int>(entry.elements[list]);
        }
        row.count = entry.count;
        row.first_chunk = static_cast<uint32_t>(chunks_);
        row.entry = static_cast<uint32_t>(number);
        row.types = static_cast<uint8_t>(types);
        row.head = static_cast<uint8_t>(head);
        row.shape = static_cast<uint16_t>(entry.dimension_count > 0 ? end_ : 0);
        table_.set_row(table_.rows++, row);
        chunks_ += chunks;
        return true;
    }

    void clear() {
        table_.rows = 0;
        end_ = word_count;
        chunks_ = 0;
    }

    static int words_of(const KernelEntry<lists>& entry) {
        const int dimensions = entry.dimension_count;
        return Row::words + (dimensions > 0 ? 1 + (1 + lists) * dimensions : 0);
    }

    const LaunchTable<lists, word_count>& table() const { return table_; }
    unsigned chunks() const { return static_cast<unsigned>(chunks_); }

  private:
    using Row = TableRow<lists>;
    static constexpr int64_t kMostChunks = 0x7fffffff;  // blocks of a launch

    LaunchTable<lists, word_count> table_{};
    int end_ = word_count;  // where shapes begin
    int64_t chunks_ = 0;
};

// With 48 bytes of other parameters at most 4,096 bytes, which every driver takes, and at most
// 32,764.
constexpr int kSmallTableWords = 504, kLargeTableWords = 4088;

// Numbers of an entry, fewer than `heads`, before the first that all its tensors have on the
// boundary of a vector of `width` numbers; or kNoVectors.
template <int lists>
int head_of(const KernelEntry<lists>& entry, int width, int heads) {
    if (entry.dimension_count > 0) return kNoVectors;
    for (int head = 0; head < heads; ++head) {
        bool aligned = true;
        for (int list = 0; list < lists; ++list) {
            const int bytes = bytes_of(entry.elements[list]);
            const auto data = reinterpret_cast<uintptr_t>(entry.data[list]);
            aligned &= (data + head * bytes) % (width * bytes) == 0;
        }
        if (aligned) return head;
    }
    return kNoVectors;
}

// Calls launch(table, chunks), which returns an error, for tables that hold all entries that have
// numbers, as few as will do with tables of so many words. head(entry): see TableRow.
template <int word_count, int lists, typename Head, typename Launch>
cudaError_t launch_tables_of(const KernelEntry<lists>* entries, int64_t count, const Head& head,
                             const Launch& launch) {
    LaunchTableBuilder<lists, word_count> builder;
    const auto launch_and_clear = [&] {
        if (builder.chunks() == 0) return cudaSuccess;
        const cudaError_t error = launch(builder.table(), builder.chunks());
        builder.clear();
        return error;
    };
    for (int64_t i = 0; i < count; ++i) {
        if (entries[i].count == 0) continue;
        const int before_vectors = head(entries[i]);
        if (builder.add(entries[i], i, before_vectors)) continue;
        if (const cudaError_t error = launch_and_clear(); error != cudaSuccess) return error;
        builder.add(entries[i], i, before_vectors);
    }
    return launch_and_clear();
}

// The same with large tables where the driver takes them and a small one does not do.
template <int lists, typename Head, typename Launch>
cudaError_t launch_tables(const KernelEntry<lists>* entries, int64_t count, bool large_parameters,
                          const Head& head, const Launch& launch) {
    int64_t words = 0;
    for (int64_t i = 0; i < count; ++i) {
        words += LaunchTableBuilder<lists, kSmallTableWords>::words_of(entries[i]);
    }
    return large_parameters && words > kSmallTableWords
               ? launch_tables_of<kLargeTableWords>(entries, count, head, launch)
               : launch_tables_of<kSmallTableWords>(entries, count, head, launch);
}

}  // namespace lelkern
