// Numbers, and what becomes of one by itself.
#pragma once

#include "shared/cuda/device.cuh"
#include "shared/cuda/number.cuh"

namespace lelkern::prox::cuda {

template <typename T>
struct Numbers;

template <>
struct Numbers<float> {
    static constexpr float infinity = __builtin_huge_valf(), epsilon = 0x1p-23f;
    static constexpr float smallest = 0x1p-126f;  // of those with all digits
    static constexpr float largest = 0x1.fffffep127f;
    static constexpr int largest_exponent = 126;  // of powers of 2 whose inverse has all digits
    __device__ static float nan() { return __int_as_float(0x7fffffff); }
};

template <>
struct Numbers<double> {
    static constexpr double infinity = __builtin_huge_val(), epsilon = 0x1p-52;
    static constexpr double smallest = 0x1p-1022, largest = 0x1.fffffffffffffp1023;
    static constexpr int largest_exponent = 1022;
    __device__ static double nan() { return __longlong_as_double(0x7fffffffffffffff); }
};

__device__ inline float magnitude(float x) { return ::fabsf(x); }
__device__ inline double magnitude(double x) { return ::fabs(x); }
__device__ inline float with_sign(float x, float of) { return ::copysignf(x, of); }
__device__ inline double with_sign(double x, double of) { return ::copysign(x, of); }
__device__ inline float square_root(float x) { return ::sqrtf(x); }
__device__ inline double square_root(double x) { return ::sqrt(x); }
__device__ inline float power(float x, float to) { return ::powf(x, to); }
__device__ inline double power(double x, double to) { return ::pow(x, to); }

template <typename T>
__device__ bool is_nan(T x) {
    return x != x;
}

template <typename T>
__device__ T smaller(T a, T b) {
    return b < a ? b : a;
}

template <typename T>
__device__ T larger(T a, T b) {
    return b > a ? b : a;
}

// sign(w) max(|w| - lam, 0); w itself, to the bit, for lam = 0, and nan for what is no threshold.
template <typename T>
__device__ T soft_threshold(T w, T lam) {
    const T size = magnitude(w);
    if (lam == 0) return w;
    if (!(lam > 0) || is_nan(w)) return Numbers<T>::nan();
    return size <= lam ? 0 : with_sign(size - lam, w);
}

// Calls f with a null pointer to a type whose numbers are computed in T.
template <typename T, typename F>
__device__ void with_stored(Element element, const F& f) {
    if constexpr (std::is_same_v<T, double>) {
        f(static_cast<double*>(nullptr));
    } else if (element == Element::float32) {
        f(static_cast<float*>(nullptr));
    } else if (element == Element::float16) {
        f(static_cast<__half*>(nullptr));
    } else {
        f(static_cast<__nv_bfloat16*>(nullptr));
    }
}

}  // namespace lelkern::prox::cuda
