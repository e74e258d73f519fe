// The kernels of one instruction set. Included by foreach_isa.h once for each, inside its
// namespace; products of bfloat16 are of no use here.
#if !defined(LELKERN_HAS_BF16)

#include "prox/cpu/prox_vectors.h"

#include "prox/cpu/soft_thresholds.h"

#include "prox/cpu/power_roots.h"

#include "prox/cpu/group_rows.h"

#include "prox/cpu/group_rows_backward.h"

#include "prox/cpu/metric_rows.h"

#include "prox/cpu/sgd_rows.h"

#include "prox/cpu/columns.h"

#include "prox/cpu/projections.h"

template <typename Element>
constexpr ProxKernels kernels_of() {
    return {prox_group_row<Element>,
            group_row_backward<Element>,
            metric_group_row<Element>,
            soft_numbers<Element>,
            soft_numbers_in_metric<Element>,
            soft_numbers_backward<Element>,
            sgd<Element>,
            column_squares<Element>,
            scale_columns<Element>,
            simplex<Element>,
            simplex_backward<Element>,
            magnitudes<Element>,
            cut<Element>,
            clip<Element>,
            along_cut<Element>,
            clip_backward<Element>};
}

constexpr ProxKernels kProxKernels[] = {kernels_of<double>(), kernels_of<float>(),
                                        kernels_of<c10::Half>(), kernels_of<c10::BFloat16>()};

#endif
