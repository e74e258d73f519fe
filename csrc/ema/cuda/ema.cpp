// Moving averages of many tensors on a GPU, between PyTorch's tensors and the kernel.

#include "ema/cuda/ema.h"

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>

#include <optional>
#include <vector>

#include "ema/common/ema_lists.h"
#include "shared/common/dispatch_floating.h"
#include "shared/cuda/kernel_entries.h"
#include "shared/cuda/register.h"
#include "shared/cuda/tensors.h"

namespace lelkern::ema::cuda {
namespace {

void ema_update(const std::vector<Tensor>& ema, const std::vector<Tensor>& params, double decay,
                const std::optional<Tensor>& decay_tensor, const std::optional<Tensor>& seed) {
    const Pairs lists = unpack(ema, params);
    if (ema.empty()) return;
    STD_TORCH_CHECK(ema[0].is_cuda(), "ema[0] must be on a GPU, as the rest is");
    Update update{};
    update.decay = decay;
    if (decay_tensor) {
        dispatch_floating(decay_tensor->scalar_type(), [](auto*) {});  // which raises
        update.decay_tensor = device_scalar("decay", *decay_tensor, "ema[0]", ema[0]);
        update.decay_element = element_of(decay_tensor->scalar_type());
    }
    if (seed) {
        STD_TORCH_CHECK(seed->scalar_type() == ScalarType::Long, "seed must be int64, got ",
                        torch::headeronly::toString(seed->scalar_type()));
        update.seed = static_cast<const int64_t*>(device_scalar("seed", *seed, "ema[0]", ema[0]));
    }
    const std::vector<KernelEntry<kPair>> pairs = kernel_entries(lists);
    update.pairs = pairs.data();
    update.count = static_cast<int64_t>(pairs.size());
    update.large_parameters = takes_large_parameters();
    const torch::stable::accelerator::DeviceGuard guard(ema[0].get_device_index());
    check_cuda(update_averages(update, current_stream(ema[0].get_device_index())));
}

}  // namespace
}  // namespace lelkern::ema::cuda

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    lelkern::register_on_gpus<TORCH_BOX(&lelkern::ema::cuda::ema_update)>(m, "ema_update_");
}
