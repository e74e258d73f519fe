#include "shared/common/unpack_lists.h"

#include <torch/csrc/stable/c/shim.h>
#include <torch/csrc/stable/device.h>

namespace lelkern {

TensorShape shape_of(AtenTensorHandle tensor) {
    int64_t dimensions = 0, *sizes = nullptr, *strides = nullptr;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_dim(tensor, &dimensions));
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_sizes(tensor, &sizes));
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_strides(tensor, &strides));
    return {dimensions, sizes, strides};
}

void* memory_of(AtenTensorHandle tensor, bool to_write) {
    void* memory = nullptr;
    if (to_write) {
        TORCH_ERROR_CODE_CHECK(torch_get_mutable_data_ptr(tensor, &memory));
        return memory;
    }
    const void* to_read = nullptr;
    TORCH_ERROR_CODE_CHECK(torch_get_const_data_ptr(tensor, &to_read));
    return const_cast<void*>(to_read);
}

void check_listed(const TensorList& list, std::size_t i, const TensorList& first) {
    const torch::stable::Tensor& tensor = list.tensors[i];
    STD_TORCH_CHECK(tensor.device() == first.tensors[0].device(), list.name, "[", i,
                    "] must be on the device of ", first.name, "[0]");
    int32_t layout = 0;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_layout(tensor.get(), &layout));
    STD_TORCH_CHECK(layout == aoti_torch_layout_strided(), list.name, "[", i, "] must be dense");
}

}  // namespace lelkern
