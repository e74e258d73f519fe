// Forward and backward of the contrastive losses on a GPU, for any host compiler. Every function
// only queues kernels on a stream: no synchronisation, no allocation.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "contrastive/common/contrastive_positives.h"
#include "shared/cuda/element.h"

namespace lelkern::contrastive::cuda {

// Rows of D numbers, each contiguous, `stride` numbers apart.
struct Matrix {
    void* data = nullptr;
    int64_t count = 0, stride = 0;
};

// What is compared with what, and which pairs are positives. Everything lies on the device.
struct Comparison {
    Element element;  // of all embeddings and of their gradients
    int64_t D;
    Matrix rows[2];  // stacked; the second may be empty
    bool self;       // the rows are compared with themselves
    Matrix columns;  // otherwise with these
    Matrix given;    // one for each row, of Positives::given
    Positives positives;
    const int64_t* row_ids = nullptr;        // or null: (rows of the first part,), repeated
    const int64_t* column_ids = nullptr;     // (columns,)
    const int64_t* labels = nullptr;         // (rows,), of Positives::labelled
    const int64_t* column_labels = nullptr;  // (columns,)
    bool both;                               // columns have losses, too
    bool normalize;
    // As the sum of how many 16-bit numbers the tensor cores multiply each: 1 (float16 as it is,
    // everything else as bfloat16), 2 (float32 as two of bfloat16); 0: without tensor cores.
    int terms;
    int multiprocessors;  // of the device: how many blocks there should be

    int64_t row_count() const { return rows[0].count + rows[1].count; }
    int64_t column_count() const { return self ? row_count() : columns.count; }
    int64_t losses() const { return row_count() + (both ? column_count() : 0); }
};

// A loss whose rows choose among their candidates.
struct Loss : Comparison {
    const void* temperature;  // a number
    Element temperature_element;
    // The positive is compared with the negatives alone; see common/contrastive_op.h.
    bool decoupled;
};

// Losses and their gradients are float32, and float64 for embeddings in float64.

// Bytes of a workspace, aligned to 256.
int64_t forward_workspace(const Loss& loss);
int64_t backward_workspace(const Loss& loss, bool column_gradients);

// losses and log_sum_exp: (losses,), of the rows and, if `both`, of the columns; slope: likewise,
// the derivative of each loss by 1 / temperature; or null; stats: (2, losses), whether the best
// candidate is a positive, and the entropy in nats; or null; counts: (rows,), of positives by
// label, where these are; or null.
cudaError_t forward(const Loss& loss, void* losses, double* log_sum_exp, double* slope, void* stats,
                    int* counts, void* workspace, cudaStream_t stream);

struct Gradients {
    Matrix rows[2];
    Matrix columns;  // no data: not wanted
    Matrix given;
    void* temperature;  // a number like the temperature
};

// grad: of losses, grad_stride numbers apart (0 for one that is the same for all). Without a slope
// the gradient of the temperature is nan. Without counts positives by label are counted again.
cudaError_t backward(const Loss& loss, const void* grad, int64_t grad_stride, const void* losses,
                     const double* log_sum_exp, const double* slope, const int* counts,
                     const Gradients& to, void* workspace, cudaStream_t stream);

}  // namespace lelkern::contrastive::cuda
