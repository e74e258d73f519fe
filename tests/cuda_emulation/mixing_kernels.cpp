// The host functions of csrc/mixup/cuda/{mix_rows,mix_labels,cut_rows,mixup_lambda}.h for Python.

#include "mixup/cuda/cut_rows.cu"
#include "mixup/cuda/mix_labels.cu"
#include "mixup/cuda/mix_rows.cu"
#include "mixup/cuda/mixing.cu"
#include "mixup/cuda/mixup_lambda.cu"

#include "cuda_emulation_arrays.h"

namespace lelkern::mixup::cuda {
namespace {

using emulation::Array;

Types types_of(const Array& from, const Array& to) {
    return {from.dtype == "uint8", emulation::element_of(to)};
}

// A matrix (rows, D) of numbers side by side, or two of them, one after the other.
RowPointers rows_of(const Array& first, const Array& second) {
    const bool both = second.data != nullptr;
    return {first.data, second.data, first.shape[0], first.strides[0],
            both ? second.strides[0] : 0};
}

uint32_t count_of(const Array& vector) {
    return vector.data == nullptr ? 1 : static_cast<uint32_t>(vector.shape[0]);
}

ChannelPointers channels_of(const Array& scale, const Array& offset, int64_t inner) {
    return {scale.data, offset.data, count_of(scale), count_of(offset),
            static_cast<uint32_t>(inner)};
}

Mix mix_of(const Array& first, const Array& second, const Array& lam, const int64_t* perm,
           const int64_t* order, const Array& scale, const Array& offset, int64_t inner,
           const Array& like) {
    Mix mix{};
    mix.from = rows_of(first, second);
    mix.row = order;
    mix.partner = perm;
    mix.lam = lam.data;
    mix.channels = channels_of(scale, offset, inner);
    mix.rows = lam.shape[0];
    mix.features = first.shape[1];
    mix.types = types_of(first, like);
    return mix;
}

int64_t emulated_mix(const Array& first, const Array& second, const Array& lam, const int64_t* perm,
                     const int64_t* order, const Array& scale, const Array& offset, int64_t inner,
                     Array& mixed) {
    Mix mix = mix_of(first, second, lam, perm, order, scale, offset, inner, mixed);
    mix.to = rows_of(mixed, {});
    return mix_rows(mix, nullptr);
}

int64_t emulated_mix_backward(const Array& grad, const Array& first, const Array& second,
                              const Array& lam, const int64_t* inverse, const int64_t* place,
                              const Array& scale, int64_t inner, Array& of_first,
                              Array& of_second) {
    Mix mix = mix_of(first, second, lam, inverse, nullptr, scale, {}, inner, grad);
    mix.place = place;
    mix.from = rows_of(grad, {});
    mix.to = rows_of(of_first, of_second);
    return mix_rows_backward(mix, nullptr);
}

int64_t emulated_lam_backward(const Array& grad, const Array& first, const Array& second,
                              const Array& lam, const int64_t* perm, const int64_t* order,
                              const Array& scale, const Array& offset, int64_t inner,
                              Array& of_lam) {
    Mix mix = mix_of(first, second, lam, perm, order, scale, offset, inner, grad);
    mix.to = rows_of(grad, {});
    return lam_backward(mix, of_lam.data, nullptr);
}

// Numbers in a matrix that lie side by side, if there are any.
Distributions distributions_of(const Array& rows) {
    if (rows.data == nullptr) return {};
    return {rows.data, emulation::element_of(rows)};
}

int64_t emulated_mix_labels(const int64_t* classes, const Array& labels, const Array& guesses,
                            const Array& lam, const int64_t* perm, const int64_t* order,
                            int64_t labelled, Array& mixed) {
    LabelMix mix{};
    mix.classes = classes;
    mix.labels = distributions_of(labels);
    mix.guesses = distributions_of(guesses);
    mix.labelled = labelled;
    mix.unlabelled = guesses.data == nullptr ? 0 : guesses.shape[0];
    mix.rows = lam.shape[0];
    mix.num_classes = mixed.shape[1];
    mix.row = order;
    mix.partner = perm;
    mix.lam = lam.data;
    mix.to = mixed.data;
    mix.type = emulation::element_of(mixed);
    return mix_labels(mix, nullptr);
}

Cut cut_of(const Array& from, const int64_t* boxes, const int64_t* partner, const Array& scale,
           const Array& offset, int64_t height, int64_t width, int64_t inner, const Array& to) {
    Cut cut{};
    cut.from = rows_of(from, {});
    cut.to = rows_of(to, {});
    cut.boxes = boxes;
    cut.partner = partner;
    cut.channels = channels_of(scale, offset, inner == 1 ? height * width : 1);
    cut.rows = from.shape[0];
    cut.features = from.shape[1];
    cut.height = static_cast<uint32_t>(height);
    cut.width = static_cast<uint32_t>(width);
    cut.inner = static_cast<uint32_t>(inner);
    cut.types = types_of(from, to);
    return cut;
}

int64_t emulated_cut(const Array& x, const int64_t* boxes, const int64_t* perm, const Array& scale,
                     const Array& offset, int64_t height, int64_t width, int64_t inner,
                     Array& result) {
    return cut_rows(cut_of(x, boxes, perm, scale, offset, height, width, inner, result), nullptr);
}

int64_t emulated_cut_backward(const Array& grad, const int64_t* boxes, const int64_t* inverse,
                              const Array& scale, int64_t height, int64_t width, int64_t inner,
                              Array& of_x) {
    return cut_rows_backward(cut_of(grad, boxes, inverse, scale, {}, height, width, inner, of_x),
                             nullptr);
}

int64_t emulated_draw(const int64_t* seed, const double* alpha, bool fold, Array& lam) {
    return draw_lambda(seed, alpha, fold, lam.data, lam.shape[0], emulation::element_of(lam),
                       nullptr);
}

}  // namespace

LELKERN_EXPORT(mix, emulated_mix);
LELKERN_EXPORT(mix_labels, emulated_mix_labels);
LELKERN_EXPORT(mix_backward, emulated_mix_backward);
LELKERN_EXPORT(lam_backward, emulated_lam_backward);
LELKERN_EXPORT(cut, emulated_cut);
LELKERN_EXPORT(cut_backward, emulated_cut_backward);
LELKERN_EXPORT(draw, emulated_draw);
LELKERN_EXPORT(invert, invert);

}  // namespace lelkern::mixup::cuda
