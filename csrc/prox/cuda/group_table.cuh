// What a launch over groups of many tensors works on: a table that travels as a parameter of the
// kernel, as that of shared/cuda/launch_table.cuh does, with a row for each tensor. Blocks are
// numbered throughout.
#pragma once

#include "prox/cuda/members.cuh"
#include "prox/cuda/prox_group.h"

namespace lelkern::prox::cuda {

struct GroupRow {
    GroupTensor tensor;
    TeamShape shape;
    uint32_t first_block;
    bool vectors;  // groups begin and end with whole vectors, in all of the tensors
};

// With 96 bytes of other parameters at most 4,096 bytes, and at most 32,764.
constexpr int kSmallTableRows = 24, kLargeTableRows = 200;

template <int room>
struct GroupTable {
    static constexpr int capacity = room;
    GroupRow rows[capacity];
    int count;

    // The row that a block is of.
    __device__ const GroupRow& row_of(uint32_t block) const {
        int low = 0, high = count;
        while (high - low > 1) {
            const int middle = (low + high) / 2;
            if (rows[middle].first_block <= block) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return rows[low];
    }
};

inline int power_of_two_from(int64_t x, int most) {
    int power = 1;
    while (power < x && power < most) power *= 2;
    return power;
}

// How threads share groups of so many numbers, each of which keeps `kept` of them, if they suffice.
inline TeamShape shape_of(const Groups& groups, int bytes, int kept) {
    if (groups.listed() || groups.inner == 1) {
        const int64_t size =
            groups.listed() ? (groups.entries + groups.count - 1) / groups.count : groups.size;
        if (size > int64_t{kWarp} * kept) return {kThreads, false};
        const int width = kVectorBytes / bytes > 4 ? kVectorBytes / bytes : 4;
        return {power_of_two_from((size + width - 1) / width, kWarp), false};
    }
    // Neighbouring groups are neighbours in memory: as many of them as a thread has eight numbers
    // of one, or as many as it keeps, but 32 bytes of each row at least.
    constexpr int few = 8;
    const int least = 32 / bytes;
    int most_lanes = kThreads / least;
    const int lanes_for_few = power_of_two_from((groups.size + few - 1) / few, kThreads);
    return {lanes_for_few < most_lanes ? lanes_for_few : most_lanes, true};
}

inline bool in_whole_vectors(const GroupTensor& tensor) {
    const Groups& groups = tensor.groups;
    if (groups.listed() || groups.inner != 1) return false;
    bool whole = groups.size * bytes_of(tensor.element) % kVectorBytes == 0;
    for (const void* address : {tensor.from, static_cast<const void*>(tensor.to), tensor.beside,
                                static_cast<const void*>(tensor.buffer)}) {
        whole = whole && reinterpret_cast<uintptr_t>(address) % kVectorBytes == 0;
    }
    return whole;
}

// A tensor as a row that begins with a block; `values` of them are kept of each number.
template <typename T, int values>
GroupRow row_for(const GroupTensor& tensor, uint32_t first_block) {
    const TeamShape shape =
        shape_of(tensor.groups, bytes_of(tensor.element), kept_by_thread<T, values>);
    return {tensor, shape, first_block, in_whole_vectors(tensor)};
}

inline int64_t blocks_of(const GroupRow& row) {
    const int per_block = row.shape.per_block();
    return (row.tensor.groups.count + per_block - 1) / per_block;
}

// Calls launch(table, blocks), which returns an error, for tables that hold all tensors whose
// numbers are computed in T and that have groups, as few as will do with so many rows. `values` are
// kept of each number.
template <typename T, int values, int capacity, typename Launch>
cudaError_t launch_tables_of(const GroupTensor* tensors, int64_t count, const Launch& launch) {
    constexpr int64_t most_blocks = 0x7fffffff;
    GroupTable<capacity> table{};
    int64_t blocks = 0;
    const auto launch_and_clear = [&] {
        if (blocks == 0) return cudaSuccess;
        const cudaError_t error = launch(table, static_cast<unsigned>(blocks));
        table.count = 0;
        blocks = 0;
        return error;
    };
    for (int64_t i = 0; i < count; ++i) {
        const bool in_double = tensors[i].element == Element::float64;
        if (tensors[i].groups.count == 0 || in_double != std::is_same_v<T, double>) continue;
        GroupRow row = row_for<T, values>(tensors[i], static_cast<uint32_t>(blocks));
        const int64_t own_blocks = blocks_of(row);
        if (own_blocks > most_blocks) return cudaErrorInvalidConfiguration;
        if (table.count == capacity || blocks + own_blocks > most_blocks) {
            if (const cudaError_t error = launch_and_clear(); error != cudaSuccess) return error;
            row.first_block = 0;
        }
        table.rows[table.count++] = row;
        blocks += own_blocks;
    }
    return launch_and_clear();
}

// Calls launch(a number of the type that is computed in, table, blocks). `large_in_float`: with
// large tables for float, where the driver takes them and a small one does not do.
template <int values, bool large_in_float, typename Launch>
cudaError_t launch_group_tables(const GroupTensor* tensors, int64_t count, bool large_parameters,
                                const Launch& launch) {
    const auto of_type = [&](auto number) {
        using T = decltype(number);
        const auto with_number = [&](const auto& table, unsigned blocks) {
            return launch(number, table, blocks);
        };
        if constexpr (large_in_float && std::is_same_v<T, float>) {
            if (large_parameters && count > kSmallTableRows) {
                return launch_tables_of<T, values, kLargeTableRows>(tensors, count, with_number);
            }
        }
        return launch_tables_of<T, values, kSmallTableRows>(tensors, count, with_number);
    };
    const cudaError_t error = of_type(0.0f);
    return error != cudaSuccess ? error : of_type(0.0);
}

}  // namespace lelkern::prox::cuda
