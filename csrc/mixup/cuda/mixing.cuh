// Numbers and rows, as all kernels that mix images read and write them.
#pragma once

#include <type_traits>

#include "mixup/cuda/mixing.h"
#include "shared/cuda/device.cuh"
#include "shared/cuda/number.cuh"

namespace lelkern::mixup::cuda {

constexpr int kMixThreads = 256;
constexpr int kSweeps = 4;        // vectors that a thread takes
constexpr int kVectorBytes = 16;  // of the wider type

// How many numbers a thread moves at once, if all of them are aligned.
template <typename From, typename To>
__host__ __device__ constexpr int vector_width() {
    return kVectorBytes / static_cast<int>(sizeof(From) > sizeof(To) ? sizeof(From) : sizeof(To));
}

template <int width>
constexpr int64_t chunk_of_block = int64_t{kMixThreads} * kSweeps * width;

// Products and sums that are not fused: every implementation rounds both.
__device__ inline float product(float x, float y) { return __fmul_rn(x, y); }
__device__ inline double product(double x, double y) { return __dmul_rn(x, y); }
__device__ inline float sum(float x, float y) { return __fadd_rn(x, y); }
__device__ inline double sum(double x, double y) { return __dadd_rn(x, y); }

template <typename T>
__device__ T* row_of(const RowPointers& rows, int64_t i) {
    const bool in_first = i < rows.first_count;
    T* const start = static_cast<T*>(in_first ? rows.first : rows.second);
    return start + (in_first ? i * rows.first_stride : (i - rows.first_count) * rows.second_stride);
}

template <typename Number>
struct Channels {
    __device__ explicit Channels(const ChannelPointers& values) : of(values) {}

    __device__ bool given() const { return of.scale != nullptr || of.offset != nullptr; }

    __device__ Number scaled(Number x, uint32_t feature) const {
        if (of.scale == nullptr) return x;
        return product(x, static_cast<const Number*>(of.scale)[feature / of.inner % of.scales]);
    }
    __device__ Number rescaled(Number x, uint32_t feature) const {
        x = scaled(x, feature);
        if (of.offset == nullptr) return x;
        return sum(x, static_cast<const Number*>(of.offset)[feature / of.inner % of.offsets]);
    }

    const ChannelPointers& of;
};

// Calls f(from, to) with null pointers to the types.
template <typename F>
cudaError_t with_types(const Types& types, const F& f) {
    const auto with = [&](auto* to) {
        using To = std::remove_pointer_t<decltype(to)>;
        return types.from_bytes ? f(static_cast<uint8_t*>(nullptr), to)
                                : f(static_cast<To*>(to), to);
    };
    switch (types.to) {
        case Element::float64:
            return with(static_cast<double*>(nullptr));
        case Element::float32:
            return with(static_cast<float*>(nullptr));
        case Element::float16:
            return with(static_cast<__half*>(nullptr));
        default:
            return with(static_cast<__nv_bfloat16*>(nullptr));
    }
}

// Whether each of these rows begins at a multiple of so many bytes.
inline bool aligned(const RowPointers& rows, int64_t bytes_of_number, int64_t to) {
    const auto multiple = [&](const void* address, int64_t stride) {
        return reinterpret_cast<uintptr_t>(address) % to == 0 && stride * bytes_of_number % to == 0;
    };
    return multiple(rows.first, rows.first_stride) &&
           (rows.second == nullptr || multiple(rows.second, rows.second_stride));
}

// Blocks for rows, each of which is `chunks` blocks.
inline dim3 grid_of(int64_t rows, int64_t chunks) {
    return dim3(static_cast<unsigned>(rows * chunks));
}

// Calls launch(width, grid, chunks of a row) with the widest vectors that all rows of a mix or a
// cut are made of, as a constant.
template <typename From, typename To, typename Work, typename F>
cudaError_t in_widest_vectors(const Work& work, const F& launch) {
    const auto with = [&](auto width) {
        constexpr int64_t chunk = chunk_of_block<width()>;
        const int64_t chunks = (work.features + chunk - 1) / chunk;
        return launch(width, grid_of(work.rows, chunks), static_cast<unsigned>(chunks));
    };
    constexpr int width = vector_width<From, To>();
    const bool vectors = work.features % width == 0 &&
                         aligned(work.from, sizeof(From), width * sizeof(From)) &&
                         aligned(work.to, sizeof(To), width * sizeof(To));
    return vectors ? with(std::integral_constant<int, width>())
                   : with(std::integral_constant<int, 1>());
}

}  // namespace lelkern::mixup::cuda
