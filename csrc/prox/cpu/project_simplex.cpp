// Projection of rows onto the simplex or the l1 ball on a CPU.

#include "prox/common/project_simplex.h"

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <vector>

#include "prox/cpu/group_tasks.h"
#include "prox/cpu/numbers.h"
#include "prox/cpu/prox_kernels.h"
#include "shared/cpu/large_results.h"

namespace lelkern::prox {

void project_simplex(const Tensor& x, const Tensor& radius, bool l1, Tensor& y, Tensor& theta) {
    const ProxKernels& kernels = prox_kernels(x.scalar_type());
    const int64_t rows = x.size(0), n = x.size(1), row_bytes = n * bytes_of(x.scalar_type());
    const char* const from = static_cast<const char*>(x.const_data_ptr());
    char* const to = static_cast<char*>(y.mutable_data_ptr());
    void* const levels = theta.mutable_data_ptr();
    advise_huge_pages(to, rows * row_bytes);
    const int64_t grain = std::max<int64_t>(1, kGrain / n);
    torch::stable::parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) {
        Scratch scratch;
        for (int64_t row = begin; row < end; ++row) {
            const double sum = number_at(radius, radius.dim() == 0 ? 0 : row);
            const double level =
                kernels.simplex(from + row * row_bytes, n, sum, l1, scratch.room(scratch_bytes(n)),
                                to + row * row_bytes);
            put_number(levels, theta.scalar_type(), row, level);
        }
    });
}

void project_simplex_backward(const Tensor& grad, bool l1, const Tensor& y, const Tensor& theta,
                              Tensor& of_x, Tensor& of_radius) {
    const ProxKernels& kernels = prox_kernels(y.scalar_type());
    const int64_t rows = y.size(0), n = y.size(1), row_bytes = n * bytes_of(y.scalar_type());
    const char* const of_y = static_cast<const char*>(grad.const_data_ptr());
    const char* const from = static_cast<const char*>(y.const_data_ptr());
    char* const to = static_cast<char*>(of_x.mutable_data_ptr());
    std::vector<double> of_rows(rows);
    advise_huge_pages(to, rows * row_bytes);
    const int64_t grain = std::max<int64_t>(1, kGrain / n);
    torch::stable::parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            of_rows[row] =
                kernels.simplex_backward(of_y + row * row_bytes, from + row * row_bytes, n, l1,
                                         number_at(theta, row), to + row * row_bytes);
        }
    });
    put_gradients(of_rows, of_radius);
}

}  // namespace lelkern::prox

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("project_simplex", &lelkern::prox::boxed_project_simplex);
    m.impl("project_simplex_backward", &lelkern::prox::boxed_project_simplex_backward);
}
