// Two lists that are updated again and again, unpacked once.
//
// PyTorch takes 0.15 us to hand one tensor of a list to an op, and ten times as long when an update
// of a large model has just swept the caches. To look at a tensor where Python has it takes 0.03
// us. So what an op found out is kept, though no tensor is: the next update comes with Python's
// objects, through plain C functions that Python calls by ctypes, and they are compared with what
// they were.

#include <torch/csrc/stable/library.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "ema/common/ema_lists.h"
#include "ema/cpu/ema.h"
#include "ema/cpu/ema_update.h"

// Of Python's stable ABI. Weak, so that the library also loads where there is no Python.
extern "C" __attribute__((weak)) void* PyTuple_GetItem(void* tuple, std::ptrdiff_t i);

namespace lelkern::ema {
namespace {

class Plan {
  public:
    Plan(const std::vector<Tensor>& ema, const std::vector<Tensor>& params)
        : lists_(unpack(ema, params)) {
        kernels();  // raises here what is wrong with them, so that no update does
    }

    // Notes what the averages and then the parameters are. `type_at` and `tensor_at`: bytes from
    // the start of an object to the pointer to its type and to its at::Tensor; `keys_at`: from
    // where that points to, to the dispatch keys. Returns whether they are the tensors that were
    // unpacked.
    bool remember(void* objects, std::ptrdiff_t type_at, std::ptrdiff_t tensor_at,
                  std::ptrdiff_t keys_at) {
        type_at_ = type_at;
        tensor_at_ = tensor_at;
        keys_at_ = keys_at;
        facts_.clear();
        return for_each_fact(objects, [this](int64_t fact) {
            facts_.push_back(fact);
            return true;
        });
    }

    // Whether other objects, as many, are the same tensors, unchanged but for their values.
    bool is_of(void* objects) const {
        auto known = facts_.begin();
        return for_each_fact(
            objects, [&](int64_t fact) { return known != facts_.end() && *known++ == fact; });
    }

    const Pairs& lists() const { return lists_; }

  private:
    // Calls f with all that the plan depends on, until it returns false; returns the last result,
    // or false where the memory is not that of the pairs.
    template <typename F>
    bool for_each_fact(void* objects, const F& f) const {
        const auto count = static_cast<std::ptrdiff_t>(lists_.entries.size());
        for (std::ptrdiff_t i = 0; i < 2 * count; ++i) {
            char* object = static_cast<char*>(PyTuple_GetItem(objects, i));
            // The type comes first: what is no tensor has nothing there.
            if (!f(*reinterpret_cast<int64_t*>(object + type_at_))) return false;
            // An at::Tensor is a pointer.
            const int64_t pointer = *reinterpret_cast<int64_t*>(object + tensor_at_);
            if (!f(pointer)) return false;
            // What is there may be another tensor that came later.
            if (!f(*reinterpret_cast<int64_t*>(pointer + keys_at_))) return false;
            const auto tensor = reinterpret_cast<AtenTensorHandle>(object + tensor_at_);
            int32_t dtype = 0;
            TORCH_ERROR_CODE_CHECK(aoti_torch_get_dtype(tensor, &dtype));
            const TensorShape shape = shape_of(tensor);  // the keys say that it is dense, as it was
            if (!f(dtype) || !f(shape.dimensions)) return false;
            for (int64_t d = 0; d < shape.dimensions; ++d) {
                if (!f(shape.sizes[d]) || !f(shape.strides[d])) return false;
            }
            const bool is_average = i < count;
            const Pair& pair = lists_.entries[is_average ? i : i - count];
            if (memory_of(tensor, is_average) != pair.of[is_average ? kAverage : kParam].data)
                return false;
        }
        return true;
    }

    const Pairs lists_;
    std::ptrdiff_t type_at_ = 0, tensor_at_ = 0, keys_at_ = 0;
    std::vector<int64_t> facts_;
};

int64_t ema_plan(const std::vector<Tensor>& ema, const std::vector<Tensor>& params) {
    return reinterpret_cast<int64_t>(new Plan(ema, params));
}

// Returns what f does, or 0 if it raises.
template <typename F>
int guarded(const F& f) {
    try {
        return f();
    } catch (...) {
        return 0;
    }
}

}  // namespace
}  // namespace lelkern::ema

#define LELKERN_EXPORT extern "C" __attribute__((visibility("default")))

using lelkern::ema::guarded;
using lelkern::ema::Plan;

// `objects`: a tuple of the averages and then the parameters. Python's lock must be held.
LELKERN_EXPORT int lelkern_ema_plan_remember(Plan* plan, void* objects, std::ptrdiff_t type_at,
                                             std::ptrdiff_t tensor_at, std::ptrdiff_t keys_at) {
    return guarded([&] { return plan->remember(objects, type_at, tensor_at, keys_at); });
}

// As above, for a tuple of as many objects.
LELKERN_EXPORT int lelkern_ema_plan_is_of(const Plan* plan, void* objects) {
    return guarded([&] { return plan->is_of(objects); });
}

// Updates the averages; `seed` may be null. Somebody must hold on to the tensors. Returns 0 if
// memory runs out on the way.
LELKERN_EXPORT int lelkern_ema_plan_update(const Plan* plan, double decay, const uint64_t* seed) {
    return guarded([&] {
        lelkern::ema::update(plan->lists(), decay,
                             seed != nullptr ? std::optional(*seed) : std::nullopt);
        return 1;
    });
}

LELKERN_EXPORT void lelkern_ema_plan_release(const Plan* plan) { delete plan; }

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("ema_plan", TORCH_BOX(&lelkern::ema::ema_plan));
}
