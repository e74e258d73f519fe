// What kernels need around them: a launch, dynamic shared memory, and the types of half precision.
//
// nvcc compiles kernels for a GPU. Where LELKERN_CUDA_EMULATION is defined, a C++ compiler compiles
// the same files, and a header of that name stands in for the execution model.
#pragma once

#if defined(LELKERN_CUDA_EMULATION)
#include "cuda_emulation.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

// Shared memory whose size is given at the launch: `type *name`, aligned to 16 bytes.
#define LELKERN_DYNAMIC_SHARED(type, name)                  \
    extern __shared__ __align__(16) char lelkern_shared_[]; \
    type* const name = reinterpret_cast<type*>(lelkern_shared_)

// Launches kernel(...); a template with several arguments goes in parentheses. Returns cudaError_t.
#define LELKERN_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    ::lelkern::launch_kernel(kernel, grid, block, shared_bytes, stream, __VA_ARGS__)

namespace lelkern {

constexpr int kSharedWithoutOptIn = 48 << 10;

template <typename... Parameters, typename... Arguments>
cudaError_t launch_kernel(void (*kernel)(Parameters...), dim3 grid, dim3 block, int shared_bytes,
                          cudaStream_t stream, const Arguments&... arguments) {
    if (shared_bytes > kSharedWithoutOptIn) {
        const cudaError_t error =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
        if (error != cudaSuccess) return error;
    }
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

}  // namespace lelkern
#endif
