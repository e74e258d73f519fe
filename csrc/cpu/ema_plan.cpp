// Two lists that are updated again and again, unpacked once.
//
// To hand a list of tensors to an op costs 0.15 us a tensor in PyTorch, to look at a tensor that
// one has already 0.01 us. So small lists, whose update takes less than that, are kept; and they
// are updated through two plain C functions, which Python calls by ctypes.

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "common/ema_lists.h"
#include "cpu/ema_update.h"

namespace lelkern::ema {
namespace {

class Plan {
  public:
    Plan(std::vector<Tensor> ema, std::vector<Tensor> params)
        : ema_(std::move(ema)), params_(std::move(params)), lists_(unpack(ema_, params_)) {
        for_each_fact([this](int64_t fact) {
            facts_.push_back(fact);
            return true;
        });
    }

    // Updates the averages, unless one of the tensors is not what it was.
    bool update(double decay, std::optional<uint64_t> seed) const {
        auto known = facts_.begin();
        const bool same =
            for_each_fact([&](int64_t fact) { return known != facts_.end() && *known++ == fact; });
        if (!same || known != facts_.end()) return false;
        ema::update(lists_, decay, seed);
        return true;
    }

  private:
    // Calls f with all that the plan depends on, until it returns false; returns the last result.
    template <typename F>
    bool for_each_fact(const F& f) const {
        for (const auto* list : {&ema_, &params_}) {
            for (const Tensor& tensor : *list) {
                // Writing to a lazy clone would move it.
                const void* at =
                    list == &ema_ ? tensor.mutable_data_ptr() : tensor.const_data_ptr();
                if (!f(reinterpret_cast<int64_t>(at))) return false;
                // The plain functions: this is most of the time of an update of small tensors.
                int32_t device = 0, dtype = 0;
                int64_t dimensions = 0, *sizes = nullptr, *strides = nullptr;
                TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(tensor.get(), &device));
                TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(tensor.get(), &dtype));
                TORCH_ERROR_CODE_CHECK(aoti_torch_get_dim(tensor.get(), &dimensions));
                TORCH_ERROR_CODE_CHECK(aoti_torch_get_sizes(tensor.get(), &sizes));
                TORCH_ERROR_CODE_CHECK(aoti_torch_get_strides(tensor.get(), &strides));
                if (!f(device) || !f(dtype) || !f(dimensions)) return false;
                for (int64_t d = 0; d < dimensions; ++d) {
                    if (!f(sizes[d]) || !f(strides[d])) return false;
                }
            }
        }
        return true;
    }

    const std::vector<Tensor> ema_, params_;
    const Pairs lists_;
    std::vector<int64_t> facts_;
};

int64_t ema_plan(std::vector<Tensor> ema, std::vector<Tensor> params) {
    return reinterpret_cast<int64_t>(new Plan(std::move(ema), std::move(params)));
}

}  // namespace
}  // namespace lelkern::ema

#define LELKERN_EXPORT extern "C" __attribute__((visibility("default")))

// Whether the averages of a plan have been updated: not if it is out of date. `seed` may be null.
LELKERN_EXPORT int lelkern_ema_plan_update(const void* plan, double decay, const uint64_t* seed) {
    try {
        return static_cast<const lelkern::ema::Plan*>(plan)->update(
            decay, seed != nullptr ? std::optional(*seed) : std::nullopt);
    } catch (...) {
        return 0;  // the op will say what is wrong
    }
}

LELKERN_EXPORT void lelkern_ema_plan_release(const void* plan) {
    delete static_cast<const lelkern::ema::Plan*>(plan);
}

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("ema_plan", TORCH_BOX(&lelkern::ema::ema_plan));
}
