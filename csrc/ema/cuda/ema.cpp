// Moving averages of many tensors on a GPU, between PyTorch's tensors and the kernel.

#include "ema/cuda/ema.h"

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>

#include <optional>
#include <vector>

#include "ema/common/ema_lists.h"
#include "shared/common/dispatch_floating.h"
#include "shared/cuda/tensors.h"

namespace lelkern::ema::cuda {
namespace {

bool takes_large_parameters() {
    int version = 0;
    check_cuda(cudaDriverGetVersion(&version));
    return version >= kDriverOfLargeParameters;
}

// A scalar that the kernel reads.
const void* data_of(const char* name, const Tensor& scalar, const Tensor& on_device_of) {
    STD_TORCH_CHECK(scalar.dim() == 0, name, " must have no dimensions, got ", scalar.dim());
    STD_TORCH_CHECK(scalar.device() == on_device_of.device(), name,
                    " must be on the device of ema[0]");
    return device_data(scalar);
}

void ema_update(const std::vector<Tensor>& ema, const std::vector<Tensor>& params, double decay,
                const std::optional<Tensor>& decay_tensor, const std::optional<Tensor>& seed) {
    const Pairs lists = unpack(ema, params);
    if (ema.empty()) return;
    STD_TORCH_CHECK(ema[0].is_cuda(), "ema[0] must be on a GPU, as the rest is");
    EmaUpdate update{};
    update.decay = decay;
    if (decay_tensor) {
        dispatch_floating(decay_tensor->scalar_type(), [](auto*) {});  // which raises
        update.decay_tensor = data_of("decay", *decay_tensor, ema[0]);
        update.decay_element = element_of(decay_tensor->scalar_type());
    }
    if (seed) {
        STD_TORCH_CHECK(seed->scalar_type() == ScalarType::Long, "seed must be int64, got ",
                        torch::headeronly::toString(seed->scalar_type()));
        update.seed = static_cast<const int64_t*>(data_of("seed", *seed, ema[0]));
    }
    std::vector<EmaPair> pairs;
    pairs.reserve(lists.pairs.size());
    for (std::size_t i = 0; i < lists.pairs.size(); ++i) {
        const Pair& pair = lists.pairs[i];
        pairs.push_back({ema[i].mutable_data_ptr(), pair.param, element_of(pair.ema_dtype),
                         element_of(pair.param_dtype), pair.count,
                         lists.dimensions.data() + pair.first_dimension,
                         static_cast<int>(pair.dimensions)});
    }
    update.pairs = pairs.data();
    update.count = static_cast<int64_t>(pairs.size());
    static const bool large_parameters = takes_large_parameters();
    update.large_parameters = large_parameters;
    const torch::stable::accelerator::DeviceGuard guard(ema[0].get_device_index());
    check_cuda(update_averages(update, current_stream(ema[0].get_device_index())));
}

}  // namespace
}  // namespace lelkern::ema::cuda

STABLE_TORCH_LIBRARY_IMPL(lelkern, CUDA, m) {
    m.impl("ema_update_", TORCH_BOX(&lelkern::ema::cuda::ema_update));
}
