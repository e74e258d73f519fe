#include "shared/cuda/register.h"

#include <torch/csrc/stable/accelerator.h>

#include <array>
#include <atomic>
#include <string>

#include "shared/cuda/gpu_code.h"
#include "shared/cuda/tensors.h"

namespace lelkern {
namespace {

using torch::stable::detail::to;

cudaError_t find_code(int gpu, bool* found) {
    const torch::stable::accelerator::DeviceGuard guard(gpu);
    return find_gpu_code(found);
}

int device_index(AtenTensorHandle tensor) {
    int32_t index = -1;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_index(tensor, &index));
    return index;
}

// The GPU that a call is for: that of its first tensor, or below 0 if there is none. All ops begin
// with a tensor; those in place, which return nothing, with a list of them.
int gpu_of(const StableIValue* stack, uint64_t outputs) {
    if (outputs > 0) return device_index(to<AtenTensorHandle>(stack[0]));
    const auto list = to<StableListHandle>(stack[0]);
    size_t size = 0;
    TORCH_ERROR_CODE_CHECK(torch_list_size(list, &size));
    if (size == 0) return -1;
    StableIValue first{};
    TORCH_ERROR_CODE_CHECK(torch_list_get_item(list, 0, &first));
    return device_index(to<AtenTensorHandle>(first));
}

}  // namespace

cudaError_t has_code(int gpu, bool* found) {
    enum Answer : char { unknown, no, yes };
    static std::array<std::atomic<Answer>, 256> answers{};
    if (gpu >= static_cast<int>(answers.size())) return find_code(gpu, found);
    std::atomic<Answer>& answer = answers[static_cast<size_t>(gpu)];
    if (answer == unknown) {
        const cudaError_t error = find_code(gpu, found);
        if (error != cudaSuccess) return error;
        answer = *found ? yes : no;
    }
    *found = answer == yes;
    return cudaSuccess;
}

bool is_for_kernels(const StableIValue* stack, uint64_t outputs) {
    const int gpu = gpu_of(stack, outputs);
    if (gpu < 0) return true;  // kernels explain what they do not take
    bool found = false;
    // Where the runtime cannot say, the kernels report it: an error of this function would leave
    // the arguments on the stack without an owner.
    return has_code(gpu, &found) != cudaSuccess || found;
}

void call_reference(const char* op, StableIValue* stack) {
    const std::string name = std::string("lelkern_reference::") + op;
    // With the message of what it raises, where PyTorch hands that on.
    STABLE_TORCH_ERROR_CODE_CHECK(
        torch_call_dispatcher(name.c_str(), "", stack, TORCH_ABI_VERSION));
}

}  // namespace lelkern
