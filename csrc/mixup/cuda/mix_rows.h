// MixUp of rows on a GPU, for any host compiler.
#pragma once

#include "mixup/cuda/mixing.h"

namespace lelkern::mixup::cuda {

// Result r is own_weight row i + partner_weight row partner[i], with i = row[r], or r if that is
// null; and row i is number place[i] of `from`, or i.
struct Mix {
    RowPointers from, to;
    const int64_t *row, *partner, *place;
    const void* lam;  // of the type that is computed in
    ChannelPointers channels;
    int64_t rows, features;
    Types types;
};

// lam[i] row i + (1 - lam[i]) row partner[i], of numbers that are scaled and offset first.
cudaError_t mix_rows(const Mix& mix, cudaStream_t stream);

// The gradient of rows: lam[i] row i + (1 - lam[partner[i]]) row partner[i], scaled after that.
// `from`: the gradients of mixes; `partner`: the inverse permutation.
cudaError_t mix_rows_backward(const Mix& mix, cudaStream_t stream);

// of_lam[i], of the type that is computed in: the sum of the gradient, a row of `to`, times the
// difference of the rows of mix r.
cudaError_t lam_backward(const Mix& mix, void* of_lam, cudaStream_t stream);

// All of them only queue kernels on a stream. What an index that is none asks for is nan.

}  // namespace lelkern::mixup::cuda
