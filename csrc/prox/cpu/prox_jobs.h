// The prox of one tensor, or of many: as few parallel regions as will do.
#pragma once

#include <cstdint>
#include <vector>

#include "prox/common/groups.h"
#include "prox/common/sgd_step.h"
#include "prox/cpu/prox_kernels.h"

namespace lelkern::prox {

// A tensor and what becomes of it, in place or elsewhere.
struct ProxJob {
    const void* from;
    void* to;
    const void* grad;    // of SGD, which comes first and is in place; null without it
    void* buffer;        // of momentum, or null
    const void* metric;  // of the type that is computed in, without SGD; or null
    ScalarType dtype;
    int64_t numbers;
    Groups groups;
    Scaled lam1, lam;
    double q;
    void* root;  // (groups.count,) of the type that is computed in, or null
};

// `step`: null without one. Raises if listed groups are not of their tensor.
void run_prox(const std::vector<ProxJob>& jobs, const SgdStep* step);

}  // namespace lelkern::prox
