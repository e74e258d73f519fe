// From the tensors of a loss to what its kernels take.
#pragma once

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/ops.h>

#include <initializer_list>
#include <vector>

#include "contrastive/common/contrastive_op.h"
#include "contrastive/cuda/contrastive.h"
#include "shared/cuda/tensors.h"

namespace lelkern::contrastive {

// What a loss compares as the kernels take it, and where they run: on the device of its rows, in
// the order of PyTorch's current stream. L: cuda::Loss, or what else begins with a comparison.
template <typename L>
class Call {
  public:
    explicit Call(const Comparison& loss)
        : device_(loss.rows[0].device()),
          guard_(loss.rows[0].get_device_index()),
          dtype_(loss.rows[0].scalar_type()),
          stream_(current_stream(device_.index())) {
        kernels_.element = element_of(dtype_);
        kernels_.D = loss.rows[0].size(1);
        for (std::size_t i = 0; i < loss.rows.size(); ++i) kernels_.rows[i] = read(loss.rows[i]);
        kernels_.self = loss.columns.empty();
        if (!kernels_.self) kernels_.columns = read(loss.columns[0]);
        if (loss.given) kernels_.given = read(*loss.given);
        kernels_.positives = loss.positives;
        kernels_.row_ids = codes(loss.row_ids);
        kernels_.column_ids = codes(loss.column_ids);
        kernels_.labels = codes(loss.labels);
        kernels_.column_labels = codes(loss.column_labels);
        kernels_.both = loss.both;
        kernels_.normalize = loss.normalize;
        // float16 loses nothing where it is multiplied as it is.
        kernels_.terms = dtype_ == ScalarType::Half ? 1 : static_cast<int>(loss.bf16_terms);
        check_cuda(cudaDeviceGetAttribute(&kernels_.multiprocessors, cudaDevAttrMultiProcessorCount,
                                          device_.index()));
    }

    const L& kernels() const { return kernels_; }
    cudaStream_t stream() const { return stream_; }
    ScalarType dtype() const { return dtype_; }

    Tensor empty(std::initializer_list<int64_t> sizes, ScalarType dtype) const {
        return torch::stable::empty({sizes.begin(), sizes.size()}, dtype, std::nullopt, device_);
    }

    void* data_here(const Tensor& tensor) const {
        STD_TORCH_CHECK(tensor.is_cuda() && tensor.get_device_index() == device_.index(),
                        "all tensors must be on one GPU");
        return device_data(tensor);
    }

    // Where gradients like these rows go; they are left in `to`.
    cuda::Matrix gradients(const Tensor& rows, Tensor& to) const {
        to = empty({rows.size(0), rows.size(1)}, dtype_);
        return {device_data(to), to.size(0), to.size(1)};
    }

  protected:
    L kernels_{};

  private:
    // The kernels want each row contiguous, and number rows in an int, up to whole tiles.
    cuda::Matrix read(const Tensor& rows) {
        constexpr int64_t most = 1 << 26, most_features = 1 << 20;
        STD_TORCH_CHECK(rows.size(0) <= most, "there must be at most ", most, " rows, got ",
                        rows.size(0));
        STD_TORCH_CHECK(rows.size(1) <= most_features, "there must be at most ", most_features,
                        " features, got ", rows.size(1));
        data_here(rows);
        const bool as_they_are = rows.size(1) <= 1 || rows.stride(1) == 1;
        read_.push_back(as_they_are ? rows : torch::stable::contiguous(rows));
        return {device_data(read_.back()), rows.size(0), read_.back().stride(0)};
    }

    const int64_t* codes(const std::optional<Tensor>& numbers) const {
        return numbers ? static_cast<const int64_t*>(data_here(*numbers)) : nullptr;
    }

    torch::stable::Device device_;
    torch::stable::accelerator::DeviceGuard guard_;
    ScalarType dtype_;
    cudaStream_t stream_;
    std::vector<Tensor> read_;  // which keeps copies until the kernels are in the stream
};

}  // namespace lelkern::contrastive
