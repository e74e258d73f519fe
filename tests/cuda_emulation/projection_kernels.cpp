// The host functions of csrc/prox/cuda/project_*.h for Python, over the kernels of their .cu files.

#include <vector>

#include "cuda_emulation_arrays.h"
#include "prox/cuda/project_l1inf.cu"
#include "prox/cuda/project_simplex.cu"
#include "prox/cuda/sums.cu"

namespace lelkern::prox::cuda {
namespace {

using emulation::Array;
using emulation::check;
using emulation::check_dtype;
using emulation::check_shape;
using emulation::element_of;

const char* computed_in(const Array& x) { return x.dtype == "float64" ? "float64" : "float32"; }

// Checks what belongs to x.
void check_like(const Array& x, const Array& like, const Array& radius, const Array& found,
                const std::vector<int64_t>& shape_of_found) {
    check_dtype("to or grad", like, x.dtype);
    check_shape("to or grad", like, x.shape);
    check_dtype("radius", radius, computed_in(x));
    check_dtype("theta or levels", found, computed_in(x));
    check_shape("theta or levels", found, shape_of_found);
}

ThresholdGradient gradient_of(const Array& to, const Array& room) {
    check_dtype("room", room, "float64");
    return {to.data, to.shape.empty() ? static_cast<double*>(room.data) : nullptr};
}

Projection rows_of(const Array& rows, const Array& radius, bool l1, const Array& like,
                   const Array& theta) {
    check(rows.shape.size() == 2, "rows are not (R, n)");
    check_like(rows, like, radius, theta, {rows.shape[0]});
    return {rows.data,
            element_of(rows),
            rows.shape[0],
            rows.shape[1],
            l1,
            {radius.data, !radius.shape.empty()},
            theta.data};
}

BallProjection balls_of(const Array& x, const Array& radius, const Array& like,
                        const Array& levels) {
    check(x.shape.size() == 3, "x is not (P, G, n)");
    check_like(x, like, radius, levels, {x.shape[0], x.shape[1]});
    return {x.data,     element_of(x), x.shape[0],
            x.shape[1], x.shape[2],    {radius.data, !radius.shape.empty()},
            levels.data};
}

int64_t emulated_rows(const Array& x, const Array& radius, bool l1, Array& to, Array& theta) {
    return project_rows(rows_of(x, radius, l1, to, theta), to.data, nullptr);
}

int64_t emulated_rows_backward(const Array& grad, bool l1, const Array& y, const Array& theta,
                               Array& to, Array& of_radius, Array& room) {
    check_shape("to", to, y.shape);
    return project_rows_backward(rows_of(y, Array{}, l1, grad, theta), grad.data, to.data,
                                 gradient_of(of_radius, room), nullptr);
}

int64_t emulated_balls(const Array& x, const Array& radius, Array& to, Array& levels) {
    return project_balls(balls_of(x, radius, to, levels), to.data, nullptr);
}

int64_t emulated_balls_backward(const Array& grad, const Array& x, const Array& levels, Array& to,
                                Array& of_radius, Array& room) {
    check_shape("to", to, x.shape);
    return project_balls_backward(balls_of(x, Array{}, grad, levels), grad.data, to.data,
                                  gradient_of(of_radius, room), nullptr);
}

int64_t sums_room() { return kSumsRoom; }

}  // namespace

LELKERN_EXPORT(project_rows, emulated_rows);
LELKERN_EXPORT(project_rows_backward, emulated_rows_backward);
LELKERN_EXPORT(project_balls, emulated_balls);
LELKERN_EXPORT(project_balls_backward, emulated_balls_backward);
LELKERN_EXPORT(sums_room, sums_room);

}  // namespace lelkern::prox::cuda
