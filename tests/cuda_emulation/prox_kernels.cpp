// The host functions of csrc/prox/cuda/*.h for Python, over the kernels of its .cu files.

#include <vector>

#include "cuda_emulation_arrays.h"
#include "prox/cuda/prox_group.cu"
#include "prox/cuda/prox_group_backward.cu"
#include "prox/cuda/prox_l1.cu"
#include "prox/cuda/prox_metric.cu"
#include "prox/cuda/sums.cu"

namespace lelkern::prox::cuda {
namespace {

using emulation::Array;
using emulation::check;
using emulation::check_dtype;
using emulation::check_shape;
using emulation::element_of;

const char* computed_in(const Array& x) { return x.dtype == "float64" ? "float64" : "float32"; }

Thresholds thresholds_of(const char* name, const Array& numbers, const Array& like) {
    check_dtype(name, numbers, computed_in(like));
    return {numbers.data, !numbers.shape.empty()};
}

// Of (A, N, B), or of the listed ones of a vector.
Groups groups_of(const Array& w, const Array& ptr, const Array& indices) {
    if (ptr.data != nullptr) {
        check_dtype("ptr", ptr, "int64");
        check_dtype("indices", indices, "int64");
        return {0,
                0,
                0,
                static_cast<const int64_t*>(ptr.data),
                static_cast<const int64_t*>(indices.data),
                ptr.shape[0] - 1,
                indices.shape[0]};
    }
    check(w.shape.size() == 3, "w is not (A, N, B)");
    return {w.shape[0], w.shape[1], w.shape[2], nullptr, nullptr, w.shape[0] * w.shape[2], 0};
}

GroupTensor tensor_of(const Array& w, const Array& lam1, const Array& lam, const Array& ptr,
                      const Array& indices, const Array& to, const Array& roots) {
    int64_t numbers = 1;
    for (const int64_t size : w.shape) numbers *= size;
    check_dtype("to", to, w.dtype);
    check_shape("to", to, w.shape);
    const Groups groups = groups_of(w, ptr, indices);
    check_dtype("roots", roots, computed_in(w));
    check_shape("roots", roots, {groups.count});
    GroupTensor tensor{};
    tensor.from = w.data;
    tensor.to = to.data;
    tensor.element = element_of(w);
    tensor.numbers = numbers;
    tensor.groups = groups;
    tensor.lam1 = thresholds_of("lam1", lam1, w);
    tensor.lam = thresholds_of("lam", lam, w);
    tensor.roots = roots.data;
    return tensor;
}

ThresholdGradient gradient_of(const Array& thresholds, const Array& to, const Array& room) {
    check_dtype("the gradient of thresholds", to, thresholds.dtype);
    check_shape("the gradient of thresholds", to, thresholds.shape);
    check_dtype("room", room, "float64");
    return {to.data, thresholds.shape.empty() ? static_cast<double*>(room.data) : nullptr};
}

int64_t emulated_shrink(const Array& w, const Array& lam1, const Array& lam, const Array& ptr,
                        const Array& indices, double q, Array& to, Array& roots) {
    const GroupTensor tensor = tensor_of(w, lam1, lam, ptr, indices, to, roots);
    return shrink_groups(&tensor, 1, q, {1, nullptr}, false, nullptr);
}

int64_t emulated_shrink_backward(const Array& grad, const Array& w, const Array& lam1,
                                 const Array& lam, const Array& ptr, const Array& indices, double q,
                                 const Array& roots, Array& to, Array& of_lam1, Array& room_of_lam1,
                                 Array& of_lam, Array& room_of_lam) {
    GroupTensor tensor = tensor_of(w, lam1, lam, ptr, indices, to, roots);
    check_dtype("grad", grad, w.dtype);
    check_shape("grad", grad, w.shape);
    tensor.beside = grad.data;
    return shrink_groups_backward(tensor, q, gradient_of(lam1, of_lam1, room_of_lam1),
                                  gradient_of(lam, of_lam, room_of_lam), nullptr);
}

// All tensors lie in `memory`. One is 14 numbers: the bytes where w, what is read beside it,
// buffer, lam1, lam, ptr and indices begin, -1 for what is not there; its type, how many numbers it
// has, size and inner of its groups, how many indices there are, and whether lam1 and lam are one
// for each group.
int64_t emulated_lists(uint8_t* memory, const int64_t* tensors, int64_t count, double q,
                       double scale, const double* scale_tensor, const double* step,
                       uint8_t* listed, int64_t numbers_listed, bool in_metric,
                       bool large_parameters) {
    constexpr int numbers_of_one = 14;
    std::vector<GroupTensor> all;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t* one = tensors + i * numbers_of_one;
        const auto at = [&](int field) { return one[field] < 0 ? nullptr : memory + one[field]; };
        GroupTensor& tensor = all.emplace_back();
        tensor.from = tensor.to = at(0);
        tensor.beside = at(1);
        tensor.buffer = at(2);
        tensor.element = static_cast<Element>(one[7]);
        tensor.numbers = one[8];
        const int64_t size = one[9], inner = one[10];
        if (at(5) != nullptr) {
            tensor.groups = {0,
                             0,
                             0,
                             reinterpret_cast<const int64_t*>(at(5)),
                             reinterpret_cast<const int64_t*>(at(6)),
                             size,
                             one[11]};
        } else {
            const int64_t outer = size * inner == 0 ? 0 : one[8] / (size * inner);
            tensor.groups = {outer, size, inner, nullptr, nullptr, outer * inner, 0};
        }
        tensor.lam1 = {at(3), one[12] != 0};
        tensor.lam = {at(4), one[13] != 0};
    }
    if (in_metric) {
        return shrink_groups_in_metric(all.data(), count, large_parameters, nullptr);
    }
    const Scale by{scale, scale_tensor};
    if (step == nullptr) {
        return shrink_groups(all.data(), count, q, by, large_parameters, nullptr);
    }
    const SgdStep sgd{step[0], step[1], step[2], step[3], step[4] != 0, step[5] != 0};
    int64_t error =
        step_and_shrink_groups(all.data(), count, q, by, sgd, large_parameters, nullptr);
    for (const GroupTensor& tensor : all) {
        if (error != 0 || tensor.groups.ptr == nullptr) continue;
        check(tensor.numbers <= numbers_listed, "too little room for bytes of numbers");
        error = step_unlisted(tensor, sgd, listed, nullptr);
        listed += tensor.numbers;
        numbers_listed -= tensor.numbers;
    }
    return error;
}

int64_t tensors_of_a_launch(bool large) { return large ? kLargeTableRows : kSmallTableRows; }

int64_t bytes_of_parameters(bool large) {
    return (large ? sizeof(GroupTable<kLargeTableRows>) : sizeof(GroupTable<kSmallTableRows>)) +
           sizeof(Scale) + sizeof(SgdStep) + sizeof(NormQ);
}

Softening softening_of(const Array& w, const Array& lam) {
    int64_t count = 1;
    for (const int64_t size : w.shape) count *= size;
    check(lam.shape.empty() || lam.shape == w.shape, "lam is neither a number nor like w");
    return {w.data, element_of(w), count, thresholds_of("lam", lam, w)};
}

int64_t emulated_soften(const Array& w, const Array& lam, Array& to) {
    check_dtype("to", to, w.dtype);
    check_shape("to", to, w.shape);
    return soften(softening_of(w, lam), to.data, nullptr);
}

int64_t emulated_soften_blocks(const Array& w, const Array& lam) {
    return blocks_of(softening_of(w, lam));
}

int64_t emulated_soften_backward(const Array& grad, const Array& w, const Array& lam, Array& to,
                                 Array& of_lam, Array& room) {
    for (const Array* each : {&grad, static_cast<const Array*>(&to)}) {
        check_dtype("grad or to", *each, w.dtype);
        check_shape("grad or to", *each, w.shape);
    }
    return soften_backward(softening_of(w, lam), grad.data, to.data, gradient_of(lam, of_lam, room),
                           nullptr);
}

int64_t sums_room() { return kSumsRoom; }

int64_t emulated_add_up(double* numbers, int64_t count, double* to) {
    return add_up(numbers, count, to, Element::float64, nullptr);
}

}  // namespace

LELKERN_EXPORT(shrink, emulated_shrink);
LELKERN_EXPORT(shrink_backward, emulated_shrink_backward);
LELKERN_EXPORT(lists, emulated_lists);
LELKERN_EXPORT(tensors_of_a_launch, tensors_of_a_launch);
LELKERN_EXPORT(bytes_of_parameters, bytes_of_parameters);
LELKERN_EXPORT(soften, emulated_soften);
LELKERN_EXPORT(soften_blocks, emulated_soften_blocks);
LELKERN_EXPORT(soften_backward, emulated_soften_backward);
LELKERN_EXPORT(sums_room, sums_room);
LELKERN_EXPORT(add_up, emulated_add_up);

}  // namespace lelkern::prox::cuda
