// The kernels that sharpen: a group of threads for each distribution.
#pragma once

#include "mixup/cuda/row_group.cuh"
#include "mixup/cuda/row_powers.cuh"

namespace lelkern::mixup::cuda {

constexpr int kSharpenBlocks = 4;  // of a multiprocessor at least, which leaves 64 registers

// Calls f(where class c is) for this thread's classes of a distribution.
template <int threads, typename F>
__device__ void for_each_class(const Sharpening& sharpening, int64_t row, const F& f) {
    const int64_t first =
        row / sharpening.inner * sharpening.classes * sharpening.inner + row % sharpening.inner;
    for (int64_t c = RowGroup<threads>::lane(); c < sharpening.classes; c += threads) {
        f(first + c * sharpening.inner);
    }
}

template <typename T, int threads>
__device__ T largest_of(const Sharpening& sharpening, int64_t row) {
    T largest = -Numbers<T>::infinity;
    for_each_class<threads>(sharpening, row, [&](int64_t at) {
        largest = larger(largest, load_number<T>(sharpening.x, sharpening.element, at));
    });
    return RowGroup<threads>::largest(largest);
}

template <typename T, int threads>
__global__ void __launch_bounds__(kThreads, kSharpenBlocks)
    sharpen_rows(const Sharpening sharpening, void* to) {
    const int64_t row = RowGroup<threads>::row();
    if (row >= sharpening.count) return;
    const auto load = [&](int64_t at) {
        return load_number<T>(sharpening.x, sharpening.element, at);
    };
    const Exponent<T> exponent(sharpening.temperature);
    const Ratios<T> ratios(largest_of<T, threads>(sharpening, row), exponent, sharpening.logits);
    T sum = 0;
    for_each_class<threads>(sharpening, row, [&](int64_t at) { sum += ratios.power(load(at)); });
    const T inverse = 1 / RowGroup<threads>::sum(sum);
    for_each_class<threads>(sharpening, row, [&](int64_t at) {
        store_number<T>(to, sharpening.element, at, ratios.power(load(at)) * inverse);
    });
}

template <typename T, int threads>
__global__ void __launch_bounds__(kThreads, kSharpenBlocks)
    sharpen_rows_backward(const Sharpening sharpening, const void* grad, void* to, double* moved) {
    const int64_t row = RowGroup<threads>::row();
    if (row >= sharpening.count) return;
    const auto load = [&](const void* from, int64_t at) {
        return load_number<T>(from, sharpening.element, at);
    };
    const Exponent<T> exponent(sharpening.temperature);
    const Ratios<T> ratios(largest_of<T, threads>(sharpening, row), exponent, sharpening.logits);
    T sum = 0, along = 0;
    for_each_class<threads>(sharpening, row, [&](int64_t at) {
        const T power = ratios.raised(ratios.log_ratio(load(sharpening.x, at)));
        sum += power;
        along += load(grad, at) * power;
    });
    sum = RowGroup<threads>::sum(sum);
    const T mean = RowGroup<threads>::sum(along) / sum;
    T own_moved = 0;
    for_each_class<threads>(sharpening, row, [&](int64_t at) {
        const T log_ratio = ratios.log_ratio(load(sharpening.x, at));
        const T q = ratios.raised(log_ratio) / sum, centred = load(grad, at) - mean;
        own_moved += q * centred * larger(log_ratio, Numbers<T>::lowest);
        const T slope = sharpening.logits ? q : ratios.slope(log_ratio, sum);
        store_number<T>(to, sharpening.element, at, exponent.beta * (slope * centred));
    });
    if (moved == nullptr) return;
    own_moved = RowGroup<threads>::sum(own_moved);
    if (RowGroup<threads>::lane() == 0) moved[row] = own_moved;
}

// A block: the gradient of the temperature, -ln 2 / T^2 times the sum of what distributions moved.
__global__ void __launch_bounds__(kThreads, kSharpenBlocks)
    add_temperature_gradient(const double* moved, int64_t count, const Scalar temperature,
                             void* to) {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += moved[i];
    sum = RowGroup<kThreads>::sum(sum);
    if (threadIdx.x > 0) return;
    const double t = read_number(temperature.data, temperature.element);
    const double gradient = -kLn2 * sum / t / t;
    if (temperature.element == Element::float64) {
        *static_cast<double*>(to) = gradient;
    } else {
        store_number<float>(to, temperature.element, 0, static_cast<float>(gradient));
    }
}

}  // namespace lelkern::mixup::cuda
