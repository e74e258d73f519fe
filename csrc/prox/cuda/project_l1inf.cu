// Projection onto the l1-infinity ball: what is launched, and nothing of PyTorch.

#include "prox/cuda/project_l1inf.h"

#include "prox/cuda/group_table.cuh"
#include "prox/cuda/project_l1inf.cuh"

namespace lelkern::prox::cuda {
namespace {

BallProblems problems_of(const BallProjection& projection, const void* grad, void* to) {
    const int64_t groups = projection.count * projection.groups;
    GroupTensor tensor{};
    tensor.from = projection.x;
    tensor.to = to;
    tensor.beside = grad;
    tensor.element = projection.element;
    tensor.numbers = groups * projection.size;
    tensor.groups = {groups, projection.size, 1, nullptr, nullptr, groups, 0};
    tensor.lam = projection.radius;
    tensor.roots = projection.levels;
    return {tensor, projection.groups, in_whole_vectors(tensor)};
}

dim3 grid_of(const BallProjection& projection) {
    return dim3(static_cast<unsigned>(projection.count));
}

}  // namespace

cudaError_t project_balls(const BallProjection& projection, void* to, cudaStream_t stream) {
    const BallProblems problems = problems_of(projection, nullptr, to);
    const auto launch = [&](auto number) {
        return LELKERN_LAUNCH((project_balls_kernel<decltype(number)>), grid_of(projection),
                              dim3(kThreads), 0, stream, problems);
    };
    return projection.element == Element::float64 ? launch(0.0) : launch(0.0f);
}

cudaError_t project_balls_backward(const BallProjection& projection, const void* grad, void* to,
                                   const ThresholdGradient& of_radius, cudaStream_t stream) {
    const BallProblems problems = problems_of(projection, grad, to);
    const auto launch = [&](auto number) {
        return LELKERN_LAUNCH((project_balls_backward_kernel<decltype(number)>),
                              grid_of(projection), dim3(kThreads), 0, stream, problems, of_radius);
    };
    const cudaError_t error = projection.element == Element::float64 ? launch(0.0) : launch(0.0f);
    if (error != cudaSuccess) return error;
    return finish(of_radius, projection.count, projection.element, stream);
}

}  // namespace lelkern::prox::cuda
