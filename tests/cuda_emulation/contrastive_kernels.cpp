// The host functions of csrc/contrastive/cuda/contrastive.h for Python, over the kernels of
// contrastive.cu.

#include "contrastive/cuda/contrastive.cu"

#include "cuda_emulation_export.h"

namespace lelkern::contrastive::cuda {
namespace {

using Bytes = void;  // numbers of the type of the element

Loss loss_of(int element, int64_t D, Bytes* rows, int64_t count, int64_t stride, Bytes* others,
             int64_t other_count, int64_t other_stride, bool self, Bytes* columns,
             int64_t column_count, int64_t column_stride, Bytes* given, int64_t given_stride,
             int positives, const int64_t* row_ids, const int64_t* column_ids,
             const int64_t* labels, bool both, const Bytes* temperature, int temperature_element,
             bool normalize, int terms, int multiprocessors) {
    Loss loss{};
    loss.element = static_cast<Element>(element);
    loss.D = D;
    loss.rows[0] = {rows, count, stride};
    loss.rows[1] = {others, other_count, other_stride};
    loss.self = self;
    loss.columns = {columns, column_count, column_stride};
    loss.given = {given, given == nullptr ? 0 : count, given_stride};
    loss.positives = static_cast<Positives>(positives);
    loss.row_ids = row_ids;
    loss.column_ids = column_ids;
    loss.labels = labels;
    loss.both = both;
    loss.temperature = temperature;
    loss.temperature_element = static_cast<Element>(temperature_element);
    loss.normalize = normalize;
    loss.terms = terms;
    loss.multiprocessors = multiprocessors;
    return loss;
}

// What loss_of takes, as parameters and as arguments.
#define LOSS_PARAMETERS                                                                          \
    int element, int64_t D, Bytes *rows, int64_t count, int64_t stride, Bytes *others,           \
        int64_t other_count, int64_t other_stride, bool self, Bytes *columns,                    \
        int64_t column_count, int64_t column_stride, Bytes *given, int64_t given_stride,         \
        int positives, const int64_t *row_ids, const int64_t *column_ids, const int64_t *labels, \
        bool both, const Bytes *temperature, int temperature_element, bool normalize, int terms, \
        int multiprocessors
#define LOSS                                                                                   \
    loss_of(element, D, rows, count, stride, others, other_count, other_stride, self, columns, \
            column_count, column_stride, given, given_stride, positives, row_ids, column_ids,  \
            labels, both, temperature, temperature_element, normalize, terms, multiprocessors)

int64_t emulated_forward_workspace(LOSS_PARAMETERS) { return forward_workspace(LOSS); }

int64_t emulated_backward_workspace(LOSS_PARAMETERS, bool column_gradients) {
    return backward_workspace(LOSS, column_gradients);
}

int64_t emulated_forward(LOSS_PARAMETERS, Bytes* losses, double* log_sum_exp, Bytes* stats,
                         Bytes* workspace) {
    return forward(LOSS, losses, log_sum_exp, stats, workspace, nullptr);
}

int64_t emulated_backward(LOSS_PARAMETERS, const Bytes* grad, int64_t grad_stride,
                          const Bytes* losses, const double* log_sum_exp, Bytes* rows_out,
                          Bytes* others_out, Bytes* columns_out, Bytes* given_out,
                          Bytes* temperature_out, Bytes* workspace) {
    const Gradients to{{{rows_out, count, D}, {others_out, other_count, D}},
                       {columns_out, column_count, D},
                       {given_out, given_out == nullptr ? 0 : count, D},
                       temperature_out};
    return backward(LOSS, grad, grad_stride, losses, log_sum_exp, to, workspace, nullptr);
}

int64_t forward_shared() { return Stages::bytes; }
int64_t symmetric_shared() { return kSymmetricShared; }

template <typename Tile>
int64_t backward_shared() {
    return kBackwardShared<Tile>;
}

}  // namespace

LELKERN_EXPORT(forward_shared, forward_shared);
LELKERN_EXPORT(symmetric_shared, symmetric_shared);
LELKERN_EXPORT(backward_shared_float, backward_shared<FmaTile<float>>);
LELKERN_EXPORT(backward_shared_double, backward_shared<FmaTile<double>>);
LELKERN_EXPORT(backward_shared_half, backward_shared<MmaTile<__half>>);
LELKERN_EXPORT(backward_shared_two_terms, backward_shared<MmaTile<TwoTerms>>);
LELKERN_EXPORT(forward_workspace, emulated_forward_workspace);
LELKERN_EXPORT(backward_workspace, emulated_backward_workspace);
LELKERN_EXPORT(forward, emulated_forward);
LELKERN_EXPORT(backward, emulated_backward);

}  // namespace lelkern::contrastive::cuda
