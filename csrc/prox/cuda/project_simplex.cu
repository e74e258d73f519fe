// Projection of rows: what is launched, and nothing of PyTorch.

#include "prox/cuda/project_simplex.h"

#include "prox/cuda/project_simplex.cuh"

namespace lelkern::prox::cuda {
namespace {

template <typename T, int values>
RowProjection rows_of(const Projection& projection, const void* grad, void* to) {
    const Groups rows{projection.count, projection.size, 1, nullptr, nullptr, projection.count, 0};
    GroupTensor tensor{};
    tensor.from = projection.rows;
    tensor.to = to;
    tensor.beside = grad;
    tensor.element = projection.element;
    tensor.numbers = projection.count * projection.size;
    tensor.groups = rows;
    tensor.lam = projection.radius;
    tensor.roots = projection.theta;
    return {row_for<T, values>(tensor, 0), projection.l1};
}

dim3 grid_of(const RowProjection& projection) {
    return dim3(static_cast<unsigned>(blocks_of(projection.rows)));
}

template <typename F>
cudaError_t with_computed(Element element, const F& f) {
    return element == Element::float64 ? f(0.0) : f(0.0f);
}

}  // namespace

cudaError_t project_rows(const Projection& projection, void* to, cudaStream_t stream) {
    return with_computed(projection.element, [&](auto number) {
        using T = decltype(number);
        const RowProjection rows = rows_of<T, 1>(projection, nullptr, to);
        return LELKERN_LAUNCH((project_rows_kernel<T>), grid_of(rows), dim3(kThreads), 0, stream,
                              rows);
    });
}

cudaError_t project_rows_backward(const Projection& projection, const void* grad, void* to,
                                  const ThresholdGradient& of_radius, cudaStream_t stream) {
    const cudaError_t error = with_computed(projection.element, [&](auto number) {
        using T = decltype(number);
        const RowProjection rows = rows_of<T, 2>(projection, grad, to);
        return LELKERN_LAUNCH((project_rows_backward_kernel<T>), grid_of(rows), dim3(kThreads), 0,
                              stream, rows, of_radius);
    });
    if (error != cudaSuccess) return error;
    return finish(of_radius, projection.count, projection.element, stream);
}

}  // namespace lelkern::prox::cuda
