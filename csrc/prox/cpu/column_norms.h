// Interleaved groups for q = 2, whose numbers are far apart: by rows that cross all of them.
#pragma once

#include <cstdint>
#include <vector>

#include "prox/common/groups.h"
#include "prox/cpu/prox_kernels.h"

namespace lelkern::prox {

// A tensor (outer, size, inner) and what it becomes.
struct ColumnProx {
    const void* from;
    bool widened;  // in the type that is computed in
    Results results;
    ScalarType dtype;  // of the results
    Groups groups;
    Scaled lam1, lam;
    void* root;  // (count,) of the type that is computed in, or null
};

// Whether rows that cross the groups are long enough.
inline bool crosses_columns(const Groups& groups) {
    return !groups.listed() && groups.inner >= 8 && groups.size > 1;
}

void prox_columns(const ColumnProx& prox);

}  // namespace lelkern::prox
