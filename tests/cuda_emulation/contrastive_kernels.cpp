// The host functions of csrc/contrastive/cuda/contrastive.h for Python, over the kernels of
// its .cu files.

#include "contrastive/cuda/contrastive_backward.cu"
#include "contrastive/cuda/contrastive_forward.cu"
#include "contrastive/cuda/contrastive_prepare.cu"

#include "contrastive_arrays.h"
#include "runtime/launch.h"

namespace lelkern::contrastive::cuda {
namespace {

using emulation::Array;
using emulation::check;
using emulation::check_dtype;
using emulation::check_shape;
using emulation::element_of;
using emulation::integers;
using emulation::matrix_of;

// Which loss it is, what is given decides: see emulated_contrastive.Case.
struct Inputs {
    const Array &rows, &others, &columns, &given, &row_ids, &column_ids, &labels;
    bool both;
    const Array& temperature;
    bool normalize, decoupled;
    int terms, multiprocessors;
};

Loss loss_of(const Inputs& in) {
    check(in.rows.shape.size() == 2, "rows are no matrix");
    Loss loss{};
    loss.element = element_of(in.rows);
    loss.D = in.rows.shape[1];
    loss.rows[0] = matrix_of("rows", in.rows, in.rows);
    loss.rows[1] = matrix_of("others", in.others, in.rows);
    loss.self = in.columns.data == nullptr;
    loss.columns = matrix_of("columns", in.columns, in.rows);
    loss.given = matrix_of("given", in.given, in.rows);
    check(in.given.data == nullptr || loss.given.count == loss.rows[0].count,
          "not one given positive a row");
    loss.positives = in.labels.data != nullptr  ? Positives::labelled
                     : in.given.data != nullptr ? Positives::given
                     : loss.self                ? Positives::paired
                                                : Positives::aligned;
    loss.row_ids = integers("row_ids", in.row_ids, loss.rows[0].count);
    loss.column_ids = integers("column_ids", in.column_ids, loss.columns.count);
    loss.labels = integers("labels", in.labels, loss.rows[0].count);
    loss.both = in.both;
    check_shape("temperature", in.temperature, {});
    loss.temperature = in.temperature.data;
    loss.temperature_element = element_of(in.temperature);
    loss.normalize = in.normalize;
    loss.decoupled = in.decoupled;
    loss.terms = in.terms;
    loss.multiprocessors = in.multiprocessors;
    return loss;
}

// Of losses and their gradients.
const char* number_of(const Loss& loss) {
    return loss.element == Element::float64 ? "float64" : "float32";
}

// What all functions begin with, as parameters and as arguments.
#define LOSS_PARAMETERS                                                                \
    const Array &rows, const Array &others, const Array &columns, const Array &given,  \
        const Array &row_ids, const Array &column_ids, const Array &labels, bool both, \
        const Array &temperature, bool normalize, bool decoupled, int terms, int multiprocessors
#define LOSS                                                                               \
    loss_of({rows, others, columns, given, row_ids, column_ids, labels, both, temperature, \
             normalize, decoupled, terms, multiprocessors})

int64_t emulated_forward_workspace(LOSS_PARAMETERS) { return forward_workspace(LOSS); }

int64_t emulated_backward_workspace(LOSS_PARAMETERS, bool column_gradients) {
    return backward_workspace(LOSS, column_gradients);
}

int64_t emulated_forward(LOSS_PARAMETERS, Array& losses, double* log_sum_exp, double* slope,
                         Array& stats, int* counts, uint8_t* workspace) {
    const Loss loss = LOSS;
    for (const Array* out : {&losses, &stats}) check_dtype("an output", *out, number_of(loss));
    check_shape("losses", losses, {loss.losses()});
    check_shape("stats", stats, {2, loss.losses()});
    return forward(loss, losses.data, log_sum_exp, slope, stats.data, counts, workspace, nullptr);
}

int64_t emulated_backward(LOSS_PARAMETERS, const Array& grad, const Array& losses,
                          const double* log_sum_exp, const double* slope, const int* counts,
                          Array& to_rows, Array& to_others, Array& to_columns, Array& to_given,
                          Array& to_temperature, uint8_t* workspace) {
    const Loss loss = LOSS;
    for (const Array* in : {&grad, &losses}) {
        check_dtype("grad or losses", *in, number_of(loss));
        check_shape("grad or losses", *in, {loss.losses()});
    }
    const std::pair<const Array&, const Array&> gradients[] = {
        {to_rows, rows}, {to_others, others}, {to_columns, columns}, {to_given, given}};
    for (const auto& [to, input] : gradients) check_shape("a gradient", to, input.shape);
    check_dtype("the gradient of the temperature", to_temperature, temperature.dtype);
    const Gradients to{
        {matrix_of("to_rows", to_rows, rows), matrix_of("to_others", to_others, rows)},
        matrix_of("to_columns", to_columns, rows),
        matrix_of("to_given", to_given, rows),
        to_temperature.data};
    return backward(loss, grad.data, grad.strides[0], losses.data, log_sum_exp, slope, counts, to,
                    workspace, nullptr);
}

// For rows of D = 128, as tests/cuda_static/dynamic_shared.csv counts it.
constexpr int kCountedFeatures = 128;

template <typename Tile>
int64_t shared_of_forward() {
    return forward_shared<Tile>(kCountedFeatures);
}
template <typename Tile>
int64_t shared_of_backward() {
    return backward_shared<Tile>(kCountedFeatures);
}
int64_t shared_of_symmetric() { return kSymmetricShared; }

}  // namespace

LELKERN_EXPORT(symmetric_shared, shared_of_symmetric);
LELKERN_EXPORT(forward_shared_float, shared_of_forward<FmaTile<float>>);
LELKERN_EXPORT(backward_shared_float, shared_of_backward<FmaTile<float>>);
LELKERN_EXPORT(forward_shared_double, shared_of_forward<FmaTile<double>>);
LELKERN_EXPORT(backward_shared_double, shared_of_backward<FmaTile<double>>);
LELKERN_EXPORT(forward_shared_half, shared_of_forward<MmaTile<__half>>);
LELKERN_EXPORT(backward_shared_half, shared_of_backward<MmaTile<__half>>);
LELKERN_EXPORT(forward_shared_two_terms, shared_of_forward<MmaTile<TwoTerms>>);
LELKERN_EXPORT(backward_shared_two_terms, shared_of_backward<MmaTile<TwoTerms>>);
LELKERN_EXPORT(backward_shared_wide, shared_of_backward<WideMmaTile<__half>>);
LELKERN_EXPORT(take_launches, emulation::take_launches);
LELKERN_EXPORT(backward_shared_paired, shared_of_backward<PairedMmaTile<__half>>);
LELKERN_EXPORT(forward_workspace, emulated_forward_workspace);
LELKERN_EXPORT(backward_workspace, emulated_backward_workspace);
LELKERN_EXPORT(forward, emulated_forward);
LELKERN_EXPORT(backward, emulated_backward);

}  // namespace lelkern::contrastive::cuda
