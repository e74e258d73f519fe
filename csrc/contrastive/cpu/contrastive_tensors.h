// Tensors and rows of numbers for the kernels of every loss.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include "contrastive/common/contrastive_op.h"
#include "contrastive/cpu/aligned.h"
#include "contrastive/cpu/row_math.h"

namespace lelkern::contrastive {

template <typename T>
T* data(const Tensor& tensor) {
    return static_cast<T*>(tensor.mutable_data_ptr());
}

inline Tensor empty(std::initializer_list<int64_t> sizes, ScalarType dtype) {
    return torch::stable::empty({sizes.begin(), sizes.size()}, dtype);
}

inline Tensor number_like(const Tensor& number, double value) {
    return torch::stable::full({}, value, number.scalar_type());
}

// Numbers in a buffer of the pool, to which they return with the tensor.
inline Tensor pooled(int64_t count, ScalarType dtype) {
    if (count == 0) return empty({0}, dtype);
    std::size_t bytes = count * (dtype == ScalarType::Double ? sizeof(double) : sizeof(float));
    void* at = take_buffer(bytes);
    const int64_t stride = 1;
    const torch::stable::Device cpu(torch::headeronly::DeviceType::CPU);
    const auto give = [bytes](void* memory) { give_buffer(memory, bytes); };
    return torch::stable::from_blob(at, {&count, 1}, {&stride, 1}, cpu, dtype, give);
}

template <typename T>
constexpr ScalarType dtype_of = std::is_same_v<T, double> ? ScalarType::Double : ScalarType::Float;

// Calls f(i, scratch) for every row i, with what make() gave the thread.
template <typename Make, typename F>
void for_each_row(int64_t count, const Make& make, const F& f) {
    torch::stable::parallel_for(0, count, 64, [&](int64_t begin, int64_t end) {
        auto scratch = make();
        for (int64_t i = begin; i < end; ++i) f(i, scratch);
    });
}

template <typename F>
void for_each_row(int64_t count, const F& f) {
    for_each_row(count, [] { return nullptr; }, [&](int64_t i, std::nullptr_t) { f(i); });
}

// Sums (size, stride) that start at 0.
template <typename T>
Aligned<T> zeros(int64_t size, int64_t stride) {
    Aligned<T> memory(size * stride);
    for_each_row(size, [&](int64_t i) { std::fill_n(memory.get() + i * stride, stride, T(0)); });
    return memory;
}

inline std::vector<Tensor> gradients_like(const std::vector<Tensor>& parts) {
    std::vector<Tensor> gradients;
    for (const Tensor& part : parts) {
        gradients.push_back(empty({part.size(0), part.size(1)}, part.scalar_type()));
    }
    return gradients;
}

// Takes from the gradient of u = row / |row| what is along u, if `normalize`. Returns u . grad.
inline double project(double* grad, const double* u, bool normalize, int64_t D) {
    const double along = dot_product(u, grad, D);
    if (normalize) add_scaled(u, -along, grad, D);
    return along;
}

}  // namespace lelkern::contrastive
