// The prox of many tensors in place on a CPU.

#include "prox/common/prox_lists.h"

#include "prox/cpu/prox_jobs.h"
#include "shared/cpu/read_scalar.h"

namespace lelkern::prox {

void prox_lists(const ProxLists& lists, const SgdStep* step) {
    const double scale = lists.scale_tensor ? read_scalar(*lists.scale_tensor) : lists.scale;
    std::vector<ProxJob> jobs;
    jobs.reserve(lists.entries.size());
    for (const ListedProx& entry : lists.entries) {
        if (entry.numbers == 0) continue;
        jobs.push_back({entry.w,
                        entry.w,
                        entry.grad,
                        entry.buffer,
                        entry.metric,
                        entry.dtype,
                        entry.numbers,
                        entry.groups,
                        {entry.lam1.values, entry.lam1.each, scale},
                        {entry.lam.values, entry.lam.each, scale},
                        lists.q,
                        nullptr});
    }
    run_prox(jobs, step);
}

}  // namespace lelkern::prox

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("prox_group_", &lelkern::prox::boxed_prox_group_in_place);
    m.impl("prox_sgd_", &lelkern::prox::boxed_prox_sgd);
    m.impl("prox_metric_", &lelkern::prox::boxed_prox_metric);
}
