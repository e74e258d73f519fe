// Numbers of the types that kernels take, alone and in vectors.
#pragma once

#include <cstdint>
#include <type_traits>

#include "shared/cuda/device.cuh"
#include "shared/cuda/element.h"

namespace lelkern {

// Neighbours in memory that a thread moves at once.
template <typename T, int width>
struct alignas(width * sizeof(T)) Vector {
    T at[width];
};

// What numbers of a type are computed in.
template <typename T>
using NumberOf = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <typename Number, typename T>
__device__ Number as_number(T x) {
    if constexpr (std::is_same_v<T, __half>) {
        return static_cast<Number>(__half2float(x));
    } else if constexpr (std::is_same_v<T, __nv_bfloat16>) {
        return static_cast<Number>(__bfloat162float(x));
    } else {
        return static_cast<Number>(x);
    }
}

template <typename To, typename Number>
__device__ To rounded_to(Number x) {
    if constexpr (std::is_same_v<To, __half>) {
        return __float2half_rn(x);
    } else if constexpr (std::is_same_v<To, __nv_bfloat16>) {
        return __float2bfloat16_rn(x);
    } else {
        return x;
    }
}

// One whose type is known when the kernel runs.
__device__ inline double read_number(const void* from, Element element) {
    switch (element) {
        case Element::float64:
            return *static_cast<const double*>(from);
        case Element::float32:
            return *static_cast<const float*>(from);
        case Element::float16:
            return __half2float(*static_cast<const __half*>(from));
        default:
            return __bfloat162float(*static_cast<const __nv_bfloat16*>(from));
    }
}

// Number i, whose type is known when the kernel runs, of those that are computed in T.
template <typename T>
__device__ T load_number(const void* from, Element element, int64_t i) {
    if constexpr (std::is_same_v<T, double>) {
        return static_cast<const double*>(from)[i];
    } else if (element == Element::float32) {
        return static_cast<const float*>(from)[i];
    } else if (element == Element::float16) {
        return __half2float(static_cast<const __half*>(from)[i]);
    } else {
        return __bfloat162float(static_cast<const __nv_bfloat16*>(from)[i]);
    }
}

template <typename T>
__device__ void store_number(void* to, Element element, int64_t i, T x) {
    if constexpr (std::is_same_v<T, double>) {
        static_cast<double*>(to)[i] = x;
    } else if (element == Element::float32) {
        static_cast<float*>(to)[i] = x;
    } else if (element == Element::float16) {
        static_cast<__half*>(to)[i] = __float2half_rn(x);
    } else {
        static_cast<__nv_bfloat16*>(to)[i] = __float2bfloat16_rn(x);
    }
}

}  // namespace lelkern
