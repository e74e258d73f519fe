// Logarithms of the ratios of a distribution, and their powers.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "mixup/cuda/distributions.h"
#include "mixup/cuda/row_group.cuh"
#include "shared/cuda/device.cuh"
#include "shared/cuda/number.cuh"

namespace lelkern::mixup::cuda {

constexpr double kLn2 = 0.6931471805599453, kLog2E = 1.4426950408889634;

__device__ inline int32_t bits_of(float x) { return __float_as_int(x); }
__device__ inline int64_t bits_of(double x) { return __double_as_longlong(x); }
__device__ inline float number_of(int32_t bits) { return __int_as_float(bits); }
__device__ inline double number_of(int64_t bits) { return __longlong_as_double(bits); }

__device__ inline float power_of_2(float x) { return ::exp2f(x); }
__device__ inline double power_of_2(double x) { return ::exp2(x); }
__device__ inline float base_2_log(float x) { return ::log2f(x); }
__device__ inline double base_2_log(double x) { return ::log2(x); }

template <typename T>
struct Numbers;

template <>
struct Numbers<float> {
    static constexpr int mantissa_bits = 23, series = 5;  // see log2_ratio
    static constexpr float infinity = __builtin_huge_valf(), tiny = 0x1p-126f, most = 0x1p126f;
    static constexpr float lowest = -0x1.fffffep127f;
    __device__ static float nan() { return __int_as_float(0x7fffffff); }
};

template <>
struct Numbers<double> {
    static constexpr int mantissa_bits = 52, series = 11;
    static constexpr double infinity = __builtin_huge_val(), tiny = 0x1p-1022, most = 0x1p1022;
    static constexpr double lowest = -0x1.fffffffffffffp1023;
    __device__ static double nan() { return __longlong_as_double(0x7fffffffffffffff); }
};

// log2(p / largest) of numbers of which none is larger, to a few units in its last place however
// near it is to 0; -inf for 0; nan for what is negative or nan. `largest` is positive and finite,
// or nan.
template <typename T>
__device__ T log2_ratio(T p, T largest) {
    constexpr int bits = Numbers<T>::mantissa_bits, lift = 64;
    constexpr T lifted = 0x1p64;  // what has no leading bit is multiplied by it
    if (!(p > 0 && largest > 0)) return p == 0 ? -Numbers<T>::infinity : Numbers<T>::nan();
    int whole = 0;
    if (p < Numbers<T>::tiny) {
        p *= lifted;
        whole -= lift;
    }
    if (largest < Numbers<T>::tiny) {
        largest *= lifted;
        whole += lift;
    }
    // p times the power of two by which its logarithm comes next to largest's.
    const auto away = bits_of(p) - bits_of(largest);
    const auto shift = (away + (decltype(away){1} << (bits - 1))) >> bits;
    const T near = number_of(static_cast<std::decay_t<decltype(away)>>(
        bits_of(p) - shift * (decltype(away){1} << bits)));
    // 2 / ln 2 * atanh(s), of which what is left out at |s| <= 1/5 is 4e-10 in float, and 5e-18.
    const T s = (near - largest) / (near + largest);  // the difference is exact
    const T square = s * s;
    T series = 0;
#pragma unroll
    for (int k = Numbers<T>::series; k >= 0; --k) {
        series = series * square + static_cast<T>(2 / kLn2 / (2 * k + 1));
    }
    return static_cast<T>(whole + static_cast<int>(shift)) + s * series;
}

// 1 / T. nan for a temperature that is not a positive number.
template <typename T>
struct Exponent {
    T beta;
    int whole;  // beta, if it is a whole number to which powers are multiplied; or 0

    __device__ explicit Exponent(const Scalar& temperature) {
        constexpr int largest_whole = 16;
        const double t = read_number(temperature.data, temperature.element);
        const bool valid = t > 0 && t < Numbers<double>::infinity;
        // Neither 0 nor infinite: beyond these nothing changes any more.
        const double low = Numbers<T>::tiny, high = Numbers<T>::most;
        beta = 1 / static_cast<T>(t < low ? low : t > high ? high : t);
        if (!valid) beta = Numbers<T>::nan();
        whole = beta >= 1 && beta <= largest_whole ? static_cast<int>(beta) : 0;
        if (static_cast<T>(whole) != beta) whole = 0;
    }
};

// What becomes of the numbers of one distribution, given the largest of them.
template <typename T>
class Ratios {
  public:
    __device__ Ratios(T largest, const Exponent<T>& exponent, bool logits)
        : exponent_(exponent), logits_(logits), largest_(largest) {
        const bool valid = logits ? largest != -Numbers<T>::infinity
                                  : largest > 0 && largest < Numbers<T>::infinity;
        if (!valid) largest_ = Numbers<T>::nan();
    }

    // log2 of the ratio to the largest. Infinite logits share the first place.
    __device__ T log_ratio(T x) const {
        if (!logits_) return log2_ratio(x, largest_);
        return x == largest_ ? 0 : (x - largest_) * static_cast<T>(kLog2E);
    }

    __device__ T raised(T log_ratio) const { return power_of_2(log_ratio * exponent_.beta); }

    // The ratio to the power of 1 / T.
    __device__ T power(T x) const {
        if (logits_ || exponent_.whole == 0) return raised(log_ratio(x));
        T factor = (x >= 0 ? x : Numbers<T>::nan()) / largest_, power = 1;
        for (int n = exponent_.whole; n > 0; n >>= 1) {
            if (n & 1) power *= factor;
            factor *= factor;
        }
        return power;
    }

    // q / p of a probability, given the sum of all powers; where p is 0 the limit.
    __device__ T slope(T log_ratio, T sum) const {
        return power_of_2(larger(log_ratio, Numbers<T>::lowest) * (exponent_.beta - 1)) / sum /
               largest_;
    }

  private:
    const Exponent<T>& exponent_;
    const bool logits_;
    T largest_;
};

}  // namespace lelkern::mixup::cuda
