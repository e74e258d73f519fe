// The kernel that updates averages: a block for each chunk of a pair, whatever the types and
// layouts of the others in the list.
#pragma once

#include <type_traits>

#include "ema/cuda/ema.h"
#include "ema/cuda/ema_rounding.cuh"
#include "shared/cuda/launch_table.cuh"
#include "shared/cuda/number.cuh"

namespace lelkern::ema::cuda {

constexpr int kThreads = 256;

// How many numbers a thread moves at once: 16 bytes of the wider type.
__host__ __device__ constexpr int vector_width(int ema_bytes, int param_bytes) {
    return kVectorBytes / (ema_bytes > param_bytes ? ema_bytes : param_bytes);
}

// Calls f with a null pointer to the type.
template <typename F>
__device__ auto with_element(Element element, const F& f) {
    switch (element) {
        case Element::float64:
            return f(static_cast<double*>(nullptr));
        case Element::float32:
            return f(static_cast<float*>(nullptr));
        case Element::float16:
            return f(static_cast<__half*>(nullptr));
        default:
            return f(static_cast<__nv_bfloat16*>(nullptr));
    }
}

struct Decay {
    double value;
    const void* tensor;  // or null
    Element element;

    __device__ double get() const {
        return tensor == nullptr ? value : read_number(tensor, element);
    }
};

// The mean is heavy + light_weight (light - heavy), so that equal numbers and weights of 0 are
// exact.
struct Weights {
    double light_weight;  // at most 1/2; nan for a decay outside [0, 1]
    bool ema_is_heavy;

    __device__ explicit Weights(double decay)
        : light_weight(decay < 0.5 ? decay : 1 - decay), ema_is_heavy(decay >= 0.5) {
        if (!(decay >= 0 && decay <= 1)) light_weight = nan("");
    }
};

__device__ inline float subtracted(float x, float y) { return __fsub_rn(x, y); }
__device__ inline double subtracted(double x, double y) { return __dsub_rn(x, y); }
// Three roundings: no multiplication is fused with an addition.
__device__ inline float moved(float x, float weight, float by) {
    return __fadd_rn(x, __fmul_rn(weight, by));
}
__device__ inline double moved(double x, double weight, double by) {
    return __dadd_rn(x, __dmul_rn(weight, by));
}

// The mean of an average and a parameter, computed in float or double.
template <typename Number>
class Mean {
  public:
    __device__ explicit Mean(const Weights& weights)
        : weight_(static_cast<Number>(weights.light_weight)), ema_is_heavy_(weights.ema_is_heavy) {}

    __device__ Number operator()(Number average, Number parameter) const {
        const Number heavy = ema_is_heavy_ ? average : parameter;
        const Number light = ema_is_heavy_ ? parameter : average;
        return weight_ == 0 ? heavy : moved(heavy, weight_, subtracted(light, heavy));
    }

  private:
    Number weight_;
    bool ema_is_heavy_;
};

// Vectors i of `count` of a pair that lies without gaps, all of them aligned; the first begins at
// number e of the average, which a vector's width divides if there is a seed.
template <typename Ema, typename Param, bool stochastic>
__device__ void update_vectors(Ema* ema, const Param* param, int64_t e, int count,
                               const Weights& weights, uint32_t tensor, const int64_t* seed) {
    constexpr bool noisy = stochastic && sizeof(Ema) == 2;
    constexpr int width = vector_width(sizeof(Ema), sizeof(Param));
    constexpr int sweeps = kTableChunk / (kThreads * width);
    constexpr int batch = sweeps < 4 ? sweeps : 4;  // loads under way before the first store
    using Number = NumberOf<Ema>;
    const Mean<Number> mean(weights);
    auto* const to = reinterpret_cast<Vector<Ema, width>*>(ema + e);
    const auto* const from = reinterpret_cast<const Vector<Param, width>*>(param + e);
    for (int sweep = threadIdx.x; sweep < count; sweep += batch * kThreads) {
        Vector<Ema, width> averages[batch];
        Vector<Param, width> parameters[batch];
#pragma unroll
        for (int k = 0; k < batch; ++k) {
            const int i = sweep + k * kThreads;
            if (i < count) {
                averages[k] = to[i];
                parameters[k] = from[i];
            }
        }
#pragma unroll
        for (int k = 0; k < batch; ++k) {
            const int i = sweep + k * kThreads;
            if (i >= count) break;
            const int64_t at = e + static_cast<int64_t>(i) * width;
            Noise noise;
            if constexpr (noisy) noise = noise_of(at >> 3, tensor, *seed);
            const int first = width == 8 ? 0 : at & 7;
#pragma unroll
            for (int n = 0; n < width; ++n) {
                Ema& average = averages[k].at[n];
                const Number x =
                    mean(as_number<Number>(average), as_number<Number>(parameters[k].at[n]));
                if constexpr (noisy) {
                    store_stochastic(average, x, noise.bits(first + n));
                } else {
                    store_nearest(average, x);
                }
            }
            to[i] = averages[k];
        }
    }
}

// Bits of a number whose type is known when the kernel runs.
__device__ inline uint64_t load_bits(const void* from, Element element, int64_t i) {
    switch (element) {
        case Element::float64:
            return static_cast<const uint64_t*>(from)[i];
        case Element::float32:
            return static_cast<const uint32_t*>(from)[i];
        default:
            return static_cast<const uint16_t*>(from)[i];
    }
}

// Chosen among all types without branches, which a compiler would multiply by those around.
template <typename Number>
__device__ Number number_of(uint64_t bits, Element element) {
    const auto low = static_cast<uint32_t>(bits);
    const float half = __half2float(__ushort_as_half(static_cast<uint16_t>(low)));
    const float narrow = element == Element::float16 ? half : __uint_as_float(low << 16);
    const float single = element == Element::float32 ? __uint_as_float(low) : narrow;
    const double wide = __longlong_as_double(static_cast<long long>(bits));
    return element == Element::float64 ? static_cast<Number>(wide) : static_cast<Number>(single);
}

// Updates `count` numbers, neighbours by neighbouring threads.
template <typename Number, bool stochastic>
__device__ void update_numbers(const TableRow<kPair>& row, int count,
                               const TablePlaces<kPair>& place, const Weights& weights,
                               const int64_t* seed) {
    constexpr int batch = 4;  // loads under way before the first store
    const Mean<Number> mean(weights);
    const Element ema_element = row.element<kAverage>(), param_element = row.element<kParam>();
    for (int sweep = threadIdx.x; sweep < count; sweep += batch * kThreads) {
        int64_t at[batch];
        uint64_t averages[batch], parameters[batch];
#pragma unroll
        for (int k = 0; k < batch; ++k) {
            const int i = sweep + k * kThreads;
            if (i < count) {
                int64_t param_at;
                place(i, at[k], param_at);
                averages[k] = load_bits(row.data[kAverage], ema_element, at[k]);
                parameters[k] = load_bits(row.data[kParam], param_element, param_at);
            }
        }
#pragma unroll
        for (int k = 0; k < batch; ++k) {
            if (sweep + k * kThreads >= count) continue;
            const Number x = mean(number_of<Number>(averages[k], ema_element),
                                  number_of<Number>(parameters[k], param_element));
            if constexpr (std::is_same_v<Number, double>) {
                static_cast<double*>(row.data[kAverage])[at[k]] = x;
            } else if (ema_element == Element::float32) {
                static_cast<float*>(row.data[kAverage])[at[k]] = x;
            } else {
                __half half;
                __nv_bfloat16 bfloat16;
                if constexpr (stochastic) {
                    const uint32_t noise = noise_of(at[k] >> 3, row.entry, *seed).bits(at[k] & 7);
                    store_stochastic(half, x, noise);
                    store_stochastic(bfloat16, x, noise);
                } else {
                    store_nearest(half, x);
                    store_nearest(bfloat16, x);
                }
                static_cast<uint16_t*>(row.data[kAverage])[at[k]] =
                    ema_element == Element::float16 ? __half_as_ushort(half)
                                                    : __bfloat16_as_ushort(bfloat16);
            }
        }
    }
}

// Updates the chunk that begins at a number of a pair, whose dimensions are given or null.
template <bool stochastic>
__device__ void update_chunk(const TableRow<kPair>& row, const uint64_t* dimensions, int64_t begin,
                             const Weights& weights, const int64_t* seed) {
    const int count = static_cast<int>(min(row.count - begin, int64_t{kTableChunk}));
    // Numbers from `head` on are done as vectors; the rest, all of them or less than two vectors,
    // one by one.
    int head = 0, in_vectors = 0;
    if (row.head != kNoVectors) {
        head = min(static_cast<int>(row.head), count);
        with_element(row.element<kAverage>(), [&](auto* ema_type) {
            with_element(row.element<kParam>(), [&](auto* param_type) {
                using Ema = std::remove_pointer_t<decltype(ema_type)>;
                using Param = std::remove_pointer_t<decltype(param_type)>;
                constexpr int width = vector_width(sizeof(Ema), sizeof(Param));
                const int vectors = (count - head) / width;
                in_vectors = vectors * width;
                update_vectors<Ema, Param, stochastic>(static_cast<Ema*>(row.data[kAverage]),
                                                       static_cast<const Param*>(row.data[kParam]),
                                                       begin + head, vectors, weights, row.entry,
                                                       seed);
            });
        });
    }
    const TablePlaces<kPair> places{begin, head, in_vectors, dimensions};
    if (row.element<kAverage>() == Element::float64) {
        update_numbers<double, stochastic>(row, count - in_vectors, places, weights, seed);
    } else {
        update_numbers<float, stochastic>(row, count - in_vectors, places, weights, seed);
    }
}

// Block b updates chunk b of the table. The bounds leave 64 registers, and 80 for random numbers.
template <bool stochastic, int word_count>
__global__ void __launch_bounds__(kThreads, stochastic ? 3 : 4)
    ema_update(const __grid_constant__ LaunchTable<kPair, word_count> table, Decay decay,
               const int64_t* seed) {
    const TableRow<kPair> row = table.row(table.row_of(blockIdx.x));
    const int64_t begin = static_cast<int64_t>(blockIdx.x - row.first_chunk) * kTableChunk;
    update_chunk<stochastic>(row, table.dimensions(row), begin, Weights(decay.get()), seed);
}

}  // namespace lelkern::ema::cuda
