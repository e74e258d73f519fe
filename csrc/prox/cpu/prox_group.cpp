// The prox of norms of groups on a CPU.

#include "prox/common/prox_group.h"

#include <torch/csrc/stable/ops.h>

#include <cstring>
#include <vector>

#include "prox/cpu/group_tasks.h"
#include "prox/cpu/numbers.h"
#include "prox/cpu/prox_jobs.h"
#include "shared/cpu/large_results.h"

namespace lelkern::prox {
namespace {

Scaled unscaled(const Thresholds& thresholds) { return {thresholds.values, thresholds.each, 1}; }

}  // namespace

void prox_group(const GroupProx& prox, Tensor& x, Tensor& root) {
    run_prox({{prox.w.const_data_ptr(), x.mutable_data_ptr(), nullptr, nullptr, nullptr,
               prox.w.scalar_type(), prox.w.numel(), prox.groups, unscaled(prox.first()),
               unscaled(prox.second()), prox.q, root.mutable_data_ptr()}},
             nullptr);
}

void prox_group_backward(const GroupProx& prox, const Tensor& grad, const Tensor& root,
                         Tensor& of_w, Tensor* of_lam1, Tensor& of_lam) {
    const ScalarType dtype = prox.w.scalar_type();
    const int64_t bytes = bytes_of(dtype), numbers = prox.w.numel(), count = prox.groups.count;
    const void* const of_x = grad.const_data_ptr();
    void* const to = of_w.mutable_data_ptr();
    const ProxKernels& kernels = prox_kernels(dtype);
    const Scaled lam1 = unscaled(prox.first()), lam = unscaled(prox.second());
    const bool side_by_side = !prox.groups.listed() && prox.groups.inner == 1;
    const bool past_cache = side_by_side && goes_past_cache(numbers * bytes);
    check_listed_groups(prox.groups, numbers);
    advise_huge_pages(to, numbers * bytes);
    if (prox.groups.listed()) std::memcpy(to, of_x, numbers * bytes);  // of numbers in no group
    std::vector<double> of_first(count), of_second(count);
    const GroupTasks tasks(prox.groups);
    const int64_t grain =
        std::max<int64_t>(1, tasks.count() * kGrain / std::max<int64_t>(1, numbers));
    torch::stable::parallel_for(0, tasks.count(), grain, [&](int64_t begin, int64_t end) {
        Scratch gathered, room;
        for (int64_t task = begin; task < end; ++task) {
            tasks.run<2>(task, {{of_x, bytes}, {prox.w.const_data_ptr(), bytes}}, {to, bytes},
                         gathered, [&](int64_t g, int64_t n, const void* const* at, void* row_to) {
                             const GroupRowGradient row{at[0],
                                                        at[1],
                                                        n,
                                                        threshold_of(lam1, g, dtype),
                                                        threshold_of(lam, g, dtype),
                                                        prox.q,
                                                        number_at(root, g),
                                                        room.room(scratch_bytes(n))};
                             const OfThresholds of =
                                 kernels.group_backward(row, {row_to, past_cache});
                             of_first[g] = of.lam1;
                             of_second[g] = of.lam;
                         });
        }
        finish_past_cache();
    });
    if (of_lam1 != nullptr) put_gradients(of_first, *of_lam1);
    put_gradients(of_second, of_lam);
}

}  // namespace lelkern::prox

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("prox_group", &lelkern::prox::boxed_prox_group);
    m.impl("prox_group_backward", &lelkern::prox::boxed_prox_group_backward);
}
