// The host functions of csrc/contrastive/cuda/siglip.h for Python, over the kernels of its .cu
// file.

#include "contrastive/cuda/contrastive_prepare.cu"
#include "contrastive/cuda/siglip.cu"

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

struct Inputs {
    const Array &query, &key, &scale, &bias, &ids, &key_ids;
    bool normalize;
    int terms, multiprocessors;
};

SigmoidLoss loss_of(const Inputs& in) {
    check(in.query.shape.size() == 2, "queries are no matrix");
    SigmoidLoss loss{};
    loss.element = element_of(in.query);
    loss.D = in.query.shape[1];
    loss.rows[0] = matrix_of("query", in.query, in.query);
    loss.columns = matrix_of("key", in.key, in.query);
    loss.positives = in.ids.data != nullptr ? Positives::labelled : Positives::aligned;
    loss.labels = integers("ids", in.ids, in.query.shape[0]);
    loss.column_labels = integers("key_ids", in.key_ids, in.key.shape[0]);
    for (const Array* number : {&in.scale, &in.bias}) check_shape("scale or bias", *number, {});
    loss.scale = in.scale.data;
    loss.scale_element = element_of(in.scale);
    loss.bias = in.bias.data;
    loss.bias_element = element_of(in.bias);
    loss.normalize = in.normalize;
    loss.terms = in.terms;
    loss.multiprocessors = in.multiprocessors;
    return loss;
}

// Of losses and their gradients.
const char* number_of(const SigmoidLoss& loss) {
    return loss.element == Element::float64 ? "float64" : "float32";
}

// What all functions begin with, as parameters and as arguments.
#define LOSS_PARAMETERS                                                                            \
    const Array &query, const Array &key, const Array &scale, const Array &bias, const Array &ids, \
        const Array &key_ids, bool normalize, int terms, int multiprocessors
#define LOSS loss_of({query, key, scale, bias, ids, key_ids, normalize, terms, multiprocessors})

int64_t emulated_forward_workspace(LOSS_PARAMETERS) { return forward_workspace(LOSS); }

int64_t emulated_backward_workspace(LOSS_PARAMETERS, bool column_gradients) {
    return backward_workspace(LOSS, column_gradients);
}

int64_t emulated_forward(LOSS_PARAMETERS, Array& losses, Array& slopes, uint8_t* workspace) {
    const SigmoidLoss loss = LOSS;
    for (const Array* out : {&losses, &slopes}) check_dtype("an output", *out, number_of(loss));
    check_shape("losses", losses, {loss.losses()});
    check_shape("slopes", slopes, {2, loss.losses()});
    return forward(loss, losses.data, slopes.data, workspace, nullptr);
}

int64_t emulated_backward(LOSS_PARAMETERS, const Array& grad, const Array& slopes, Array& to_query,
                          Array& to_key, Array& to_scale, Array& to_bias, uint8_t* workspace) {
    const SigmoidLoss loss = LOSS;
    for (const Array* in : {&grad, &slopes}) check_dtype("grad or slopes", *in, number_of(loss));
    check_shape("grad", grad, {loss.losses()});
    check_shape("slopes", slopes, {2, loss.losses()});
    check_shape("the gradient of query", to_query, query.shape);
    if (to_key.data != nullptr) check_shape("the gradient of key", to_key, key.shape);
    check_dtype("the gradient of scale", to_scale, scale.dtype);
    check_dtype("the gradient of bias", to_bias, bias.dtype);
    const SigmoidGradients to{matrix_of("to_query", to_query, query),
                              matrix_of("to_key", to_key, query), to_scale.data, to_bias.data};
    return backward(loss, grad.data, grad.strides[0], slopes.data, to, workspace, nullptr);
}

// For rows of D = 128, as tests/cuda_static/dynamic_shared.csv counts it.
constexpr int kCountedFeatures = 128;

template <typename Tile>
int64_t shared_of_backward() {
    return siglip_backward_shared<Tile>(kCountedFeatures);
}

}  // namespace

LELKERN_EXPORT(backward_shared_float, shared_of_backward<FmaTile<float>>);
LELKERN_EXPORT(backward_shared_double, shared_of_backward<FmaTile<double>>);
LELKERN_EXPORT(backward_shared_half, shared_of_backward<MmaTile<__half>>);
LELKERN_EXPORT(backward_shared_two_terms, shared_of_backward<MmaTile<TwoTerms>>);
LELKERN_EXPORT(backward_shared_wide, shared_of_backward<WideMmaTile<__half>>);
LELKERN_EXPORT(take_launches, emulation::take_launches);
LELKERN_EXPORT(backward_shared_paired, shared_of_backward<PairedMmaTile<__half>>);
LELKERN_EXPORT(forward_workspace, emulated_forward_workspace);
LELKERN_EXPORT(backward_workspace, emulated_backward_workspace);
LELKERN_EXPORT(forward, emulated_forward);
LELKERN_EXPORT(backward, emulated_backward);

}  // namespace lelkern::contrastive::cuda
