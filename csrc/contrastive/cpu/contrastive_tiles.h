// The tiles of one instruction set. Included by foreach_isa.h.
#include "contrastive/cpu/micro_kernel.h"

#include "contrastive/cpu/contrastive_similarities.h"

#include "contrastive/cpu/contrastive_backward_tile.h"
#include "contrastive/cpu/contrastive_forward_tile.h"
#include "contrastive/cpu/siglip_tile.h"

template <typename Op>
Kernels<typename Op::Number> kernels_of() {
    using T = typename Op::Number;
    static_assert(decision_scratch<T> <= forward_scratch<T>);
    return {panel_width<T>,   Op::is_bf16,       forward_scratch<T>,    Gradient<Op>::size,
            forward_tile<Op>, backward_tile<Op>, forward_decisions<Op>, backward_decisions<Op>};
}
