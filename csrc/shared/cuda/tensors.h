// What lies between PyTorch's tensors and kernels, whatever they compute.
#pragma once

#include <cuda_runtime_api.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include "shared/cuda/element.h"

namespace lelkern {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

inline Element element_of(ScalarType dtype) {
    switch (dtype) {
        case ScalarType::Double:
            return Element::float64;
        case ScalarType::Float:
            return Element::float32;
        case ScalarType::Half:
            return Element::float16;
        default:
            return Element::bfloat16;
    }
}

inline void* device_data(const Tensor& tensor) {
    return const_cast<void*>(tensor.const_data_ptr());  // reading copies no lazy clone
}

// PyTorch's current stream of a device.
inline cudaStream_t current_stream(int device) {
    void* stream = nullptr;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &stream));
    return static_cast<cudaStream_t>(stream);
}

// Raises what the CUDA runtime reports.
inline void check_cuda(cudaError_t error) {
    if (error == cudaSuccess) return;
    cudaGetLastError();  // or the next launch would report it
    STD_CUDA_CHECK(error);
}

// A number that a kernel reads. `first`: what it has to be beside, with its name for errors.
inline const void* device_scalar(const char* name, const Tensor& scalar, const char* first_name,
                                 const Tensor& first) {
    STD_TORCH_CHECK(scalar.dim() == 0, name, " must have no dimensions, got ", scalar.dim());
    STD_TORCH_CHECK(scalar.device() == first.device(), name, " must be on the device of ",
                    first_name);
    return device_data(scalar);
}

// Whether the driver takes kernels with 32,764 bytes of parameters: that of CUDA 12.1 or later.
inline bool takes_large_parameters() {
    static const bool takes = [] {
        int version = 0;
        check_cuda(cudaDriverGetVersion(&version));
        return version >= 12010;
    }();
    return takes;
}

}  // namespace lelkern
