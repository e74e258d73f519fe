// CutMix of images as rows (Yun et al. 2019): the op on every device, and what each defines of it.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>

#include "mixup/common/box_pieces.h"
#include "mixup/common/mixing.h"

namespace lelkern::mixup {

// Image i becomes image perm[i] inside of boxes[i].
struct RowCut {
    ImageRows x;
    Tensor boxes, perm;  // (N, 4) and (N,)
    ChannelValues channels;
    ImageShape shape;
    ScalarType dtype, computed;  // of the results, and of the arithmetic
};

// The kernels of a device. On a CPU they raise if perm is no permutation or a box leaves its image.
void cut_rows(const RowCut& cut, Tensor& result);
void cut_rows_backward(const RowCut& cut, const Tensor& grad, Tensor& of_x);

// Their arguments and results are on the stack, in the order of the schema.
void boxed_cut_rows(StableIValue* stack, uint64_t inputs, uint64_t outputs);
void boxed_cut_rows_backward(StableIValue* stack, uint64_t inputs, uint64_t outputs);

}  // namespace lelkern::mixup
