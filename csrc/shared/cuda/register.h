// How an op's kernels for GPUs are registered.
#pragma once

#include <cuda_runtime_api.h>
#include <torch/csrc/stable/library.h>

#include <cstdint>

namespace lelkern {

// Arguments and results are on the stack, in the order of the schema.
using Boxed = void(StableIValue* stack, uint64_t inputs, uint64_t outputs);

// Whether this library has code for a GPU, whose number is at least 0. The CUDA runtime is asked
// once for each, when it is used: that makes a context there. Returns an error where it cannot say.
cudaError_t has_code(int gpu, bool* found);

// Whether a call is one for kernels: not if its tensors are on a GPU that this library has no code
// for.
bool is_for_kernels(const StableIValue* stack, uint64_t outputs);

// Has the reference of an op answer a call.
void call_reference(const char* op, StableIValue* stack);

// PyTorch's dispatcher knows types of devices, not which GPU has code. So the choice is made here,
// in one place for all ops and however they are called, of the arguments as they come.
template <Boxed* kernels>
struct OnGpus {
    inline static const char* op = nullptr;

    static void call(StableIValue* stack, uint64_t inputs, uint64_t outputs) {
        if (is_for_kernels(stack, outputs)) {
            kernels(stack, inputs, outputs);
        } else {
            call_reference(op, stack);
        }
    }
};

// Registers the kernels of an op, which are those of no other.
template <Boxed* kernels>
void register_on_gpus(torch::stable::detail::StableLibrary& library, const char* op) {
    OnGpus<kernels>::op = op;
    library.impl(op, &OnGpus<kernels>::call);
}

}  // namespace lelkern
