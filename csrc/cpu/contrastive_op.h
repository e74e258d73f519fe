// What the three ops of the contrastive family check and unpack alike. The public functions explain
// their errors; these keep a direct call of an op inside its memory.
#pragma once

#include <torch/headeronly/util/Exception.h>

#include <optional>

#include "common/rows.h"
#include "cpu/contrastive_engine.h"

namespace lelkern::contrastive {

inline void check_embeddings(const char* name, const Tensor& z, const Tensor& like) {
    STD_TORCH_CHECK(z.dim() == 2 && z.size(1) == like.size(1), name,
                    " must be (N, D), D as for all");
    STD_TORCH_CHECK(z.scalar_type() == like.scalar_type(), name, " must have the dtype of all");
    dispatch_floating(z.scalar_type(), [](auto*) {});  // which raises where threads cannot
}

inline void check_codes(const char* name, const std::optional<Tensor>& codes, int64_t count) {
    STD_TORCH_CHECK(!codes || (codes->dim() == 1 && codes->size(0) == count &&
                               codes->scalar_type() == ScalarType::Long && codes->is_contiguous()),
                    name, " must be a whole number for each row: contiguous int64");
}

inline double temperature_of(const Tensor& temperature) {
    STD_TORCH_CHECK(temperature.dim() == 0, "temperature must have no dimensions");
    return read_scalar(temperature);
}

inline void check_saved(const Tensor& grad, const ForwardResult& saved, int64_t losses,
                        ScalarType dtype) {
    const auto sums = dtype == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
    STD_TORCH_CHECK(grad.dim() == 1 && grad.size(0) == losses && grad.scalar_type() == sums,
                    "grad must have one number for each loss, in its dtype");
    STD_TORCH_CHECK(saved.loss.numel() == losses && saved.loss.is_contiguous() &&
                        saved.loss.scalar_type() == sums && saved.log_sum_exp.numel() == losses &&
                        saved.log_sum_exp.is_contiguous() &&
                        saved.log_sum_exp.scalar_type() == ScalarType::Double &&
                        saved.kept.is_contiguous() && saved.kept.scalar_type() == sums,
                    "loss, log_sum_exp and kept must be as forward returned them");
}

inline Tensor temperature_gradient(double value, const Tensor& temperature) {
    return torch::stable::full({}, value, temperature.scalar_type());
}

}  // namespace lelkern::contrastive
