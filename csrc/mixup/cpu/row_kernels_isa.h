// The kernels of one instruction set over distributions. Included by foreach_isa.h once for each,
// inside its namespace; products of bfloat16 are of no use here.
#if !defined(LELKERN_HAS_BF16)

#include "mixup/cpu/guess_rows.h"

template <typename T, typename Element>
constexpr RowKernels kernels_of() {
    return {sharpen_row<T, Element>, sharpen_row_backward<T, Element>, guess_row<T, Element>,
            guess_row_backward<T, Element>};
}

constexpr RowKernels kRowKernels[] = {kernels_of<double, double>(), kernels_of<float, float>(),
                                      kernels_of<float, c10::Half>(),
                                      kernels_of<float, c10::BFloat16>()};

#endif
