// MixUp of labels on a GPU, for any host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "shared/cuda/element.h"

namespace lelkern::mixup::cuda {

// Numbers (rows, C) that lie side by side, in a type of their own.
struct Distributions {
    const void* values;
    Element element;
};

// Rows: of labels, one each, as classes or, where that is null, distributions; then those of
// guesses, all of them again until there are enough. Result r is that of row[r], or of row r if
// that is null.
struct LabelMix {
    const int64_t* classes;
    Distributions labels, guesses;
    int64_t labelled, unlabelled, rows, num_classes;
    const int64_t *row, *partner;
    const void* lam;  // of the type that is computed in
    void* to;
    Element type;  // of the results
};

// lam[i] row i + (1 - lam[i]) row partner[i], of rows that are rounded to the type of the results
// first. What an index or a class that is none asks for is nan. Only queues a kernel on a stream.
cudaError_t mix_labels(const LabelMix& mix, cudaStream_t stream);

}  // namespace lelkern::mixup::cuda
