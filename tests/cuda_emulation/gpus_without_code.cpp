// GPUs of which some run none of a library's code, for tensors of a CPU: the GPU that one is on is
// its number of rows. GPU 1 runs code, 2 does not, and of 3 the runtime reports an error.

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include "shared/cuda/gpu_code.cu"
#include "shared/cuda/register.h"

namespace {

using torch::stable::Tensor;

int current_gpu = 7, questions = 0;
cudaError_t last_error = cudaSuccess;

// Kernels, whose results are those of no reference.
Tensor twice(const Tensor& x) { return torch::stable::new_zeros(x, {x.size(0), x.size(1)}); }
Tensor twice_backward(const Tensor& grad, const Tensor&) { return twice(grad); }
void add(const std::vector<Tensor>& tensors, double) {
    for (Tensor x : tensors) torch::stable::zero_(x);
}

bool has_code_for(int64_t gpu) {
    bool found = false;
    const cudaError_t error = lelkern::has_code(static_cast<int>(gpu), &found);
    STD_TORCH_CHECK(error == cudaSuccess, "the runtime cannot say");
    return found;
}

}  // namespace

// ----- in the place of the CUDA runtime and of PyTorch -----

extern "C" {

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, const void*) {
    ++questions;
    return last_error = current_gpu == 1   ? cudaSuccess
                        : current_gpu == 2 ? cudaErrorNoKernelImageForDevice
                                           : cudaErrorMemoryAllocation;
}
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

AOTITorchError aoti_torch_get_device_index(AtenTensorHandle tensor, int32_t* gpu) {
    int64_t rows = 0;
    const AOTITorchError error = aoti_torch_get_size(tensor, 0, &rows);
    *gpu = rows == 0 ? -1 : static_cast<int32_t>(rows);
    return error;
}
AOTITorchError aoti_torch_create_device_guard(int32_t gpu, DeviceGuardHandle* guard) {
    *guard = reinterpret_cast<DeviceGuardHandle>(static_cast<intptr_t>(current_gpu));
    current_gpu = gpu;
    return 0;
}
AOTITorchError aoti_torch_delete_device_guard(DeviceGuardHandle guard) {
    current_gpu = static_cast<int>(reinterpret_cast<intptr_t>(guard));
    return 0;
}

__attribute__((visibility("default"))) int asked() { return questions; }
__attribute__((visibility("default"))) int current() { return current_gpu; }
__attribute__((visibility("default"))) int unseen_error() { return last_error; }
}

STABLE_TORCH_LIBRARY_FRAGMENT(lelkern, m) { m.def("test_has_code_for(int gpu) -> bool"); }

STABLE_TORCH_LIBRARY_IMPL(lelkern, CompositeExplicitAutograd, m) {
    m.impl("test_has_code_for", TORCH_BOX(&has_code_for));
}

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    lelkern::register_on_gpus<TORCH_BOX(&twice)>(m, "test_twice");
    lelkern::register_on_gpus<TORCH_BOX(&twice_backward)>(m, "test_twice_backward");
    lelkern::register_on_gpus<TORCH_BOX(&add)>(m, "test_add_");
}
