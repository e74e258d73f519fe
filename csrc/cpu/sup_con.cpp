// SupCon (Khosla et al. 2020, equation 2: L_out) on the CPU without the M x M similarity matrix.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <tuple>

#include "cpu/contrastive_op.h"

namespace lelkern {
namespace {

using namespace contrastive;

Loss sup_con_loss(const Tensor& z, const Tensor& labels, const Tensor& temperature,
                  const std::optional<Tensor>& ids, bool normalize, bool bf16) {
    check_embeddings("z", z, z);
    check_codes("labels", labels, z.size(0));
    check_codes("ids", ids, z.size(0));
    return {{z},    {},    Positives::labelled,         std::nullopt, ids, ids,
            labels, false, temperature_of(temperature), normalize,    bf16};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> sup_con_forward(const Tensor& z, const Tensor& labels,
                                                           const Tensor& temperature,
                                                           std::optional<Tensor> ids,
                                                           bool normalize, bool bf16, bool stats,
                                                           int64_t kept) {
    const auto result =
        forward(sup_con_loss(z, labels, temperature, ids, normalize, bf16), stats, kept);
    return {result.loss, result.log_sum_exp, result.kept, result.stats};
}

std::tuple<Tensor, Tensor> sup_con_backward(const Tensor& grad, const Tensor& z,
                                            const Tensor& labels, const Tensor& temperature,
                                            std::optional<Tensor> ids, bool normalize, bool bf16,
                                            const Tensor& loss, const Tensor& log_sum_exp,
                                            const Tensor& kept) {
    const ForwardResult saved{loss, log_sum_exp, kept, loss};
    const Loss what = sup_con_loss(z, labels, temperature, ids, normalize, bf16);
    check_saved(grad, saved, z.size(0), z.scalar_type());
    const auto result = backward(what, grad, saved, false);
    return {result.rows[0], temperature_gradient(result.temperature, temperature)};
}

}  // namespace
}  // namespace lelkern

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("sup_con", TORCH_BOX(&lelkern::sup_con_forward));
    m.impl("sup_con_backward", TORCH_BOX(&lelkern::sup_con_backward));
}
