// Soft thresholds on a CPU.

#include "prox/common/prox_l1.h"

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <vector>

#include "prox/cpu/group_tasks.h"
#include "prox/cpu/numbers.h"
#include "prox/cpu/prox_kernels.h"
#include "shared/cpu/large_results.h"

namespace lelkern::prox {
namespace {

// Thresholds of numbers from one on, or one for all.
Scaled from_number(const Tensor& lam, int64_t first) {
    const char* const values = static_cast<const char*>(lam.const_data_ptr());
    const bool each = lam.dim() > 0;
    return {each ? values + first * bytes_of(lam.scalar_type()) : values, each, 1};
}

}  // namespace

void prox_l1(const Tensor& w, const Tensor& lam, Tensor& x) {
    const int64_t numbers = w.numel(), bytes = bytes_of(w.scalar_type());
    const char* const from = static_cast<const char*>(w.const_data_ptr());
    char* const to = static_cast<char*>(x.mutable_data_ptr());
    advise_huge_pages(to, numbers * bytes);
    const bool past_cache = goes_past_cache(numbers * bytes);
    const ProxKernels& kernels = prox_kernels(w.scalar_type());
    torch::stable::parallel_for(0, numbers, kGrain, [&](int64_t begin, int64_t end) {
        kernels.soft(from + begin * bytes, false, end - begin, {nullptr, false, 1},
                     from_number(lam, begin), {to + begin * bytes, past_cache});
        finish_past_cache();
    });
}

void prox_l1_backward(const Tensor& grad, const Tensor& w, const Tensor& lam, Tensor& of_w,
                      Tensor& of_lam) {
    const int64_t numbers = w.numel(), bytes = bytes_of(w.scalar_type());
    const int64_t lam_bytes = bytes_of(lam.scalar_type());
    const char* const of_x = static_cast<const char*>(grad.const_data_ptr());
    const char* const from = static_cast<const char*>(w.const_data_ptr());
    char* const to = static_cast<char*>(of_w.mutable_data_ptr());
    char* const of_each = lam.dim() > 0 ? static_cast<char*>(of_lam.mutable_data_ptr()) : nullptr;
    advise_huge_pages(to, numbers * bytes);
    const ProxKernels& kernels = prox_kernels(w.scalar_type());
    const int64_t pieces = (numbers + kGrain - 1) / kGrain;
    std::vector<double> sums(pieces);
    torch::stable::parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t piece = begin; piece < end; ++piece) {
            const int64_t first = piece * kGrain, n = std::min(kGrain, numbers - first);
            sums[piece] = kernels.soft_backward(
                of_x + first * bytes, from + first * bytes, n, from_number(lam, first),
                of_each == nullptr ? nullptr : of_each + first * lam_bytes,
                {to + first * bytes, false});
        }
    });
    if (of_each != nullptr) return;
    put_gradients(sums, of_lam);
}

}  // namespace lelkern::prox

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("prox_l1", &lelkern::prox::boxed_prox_l1);
    m.impl("prox_l1_backward", &lelkern::prox::boxed_prox_l1_backward);
}
