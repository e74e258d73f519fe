// Numbers of channels, spread over features.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "mixup/common/mixing.h"
#include "mixup/cpu/mixing_kernels.h"

namespace lelkern::mixup {

// What features [begin, begin + count) have, where channels take turns; T is what is computed in.
template <typename T>
class ChannelPattern {
  public:
    // With room for vectors that begin at the last feature.
    ChannelPattern(const ChannelValues& channels, int64_t count)
        : channels_(channels),
          scale_(channels.scale ? count + kVector : 0),
          offset_(channels.offset ? count + kVector : 0) {}

    FeatureValues fill(int64_t begin, int64_t count) {
        spread(channels_.scale, begin, count, scale_);
        spread(channels_.offset, begin, count, offset_);
        return {scale_.empty() ? nullptr : scale_.data(),
                offset_.empty() ? nullptr : offset_.data(), false};
    }

  private:
    static constexpr int64_t kVector = 64;  // bytes of the widest: more than it has numbers

    void spread(const std::optional<Tensor>& values, int64_t begin, int64_t count,
                std::vector<T>& to) const {
        if (!values) return;
        const T* const from = static_cast<const T*>(values->const_data_ptr());
        const int64_t channels = values->size(0);
        int64_t channel = begin / channels_.inner % channels,
                left = channels_.inner - begin % channels_.inner;
        for (int64_t i = 0; i < count; i += left, left = channels_.inner) {
            std::fill_n(to.begin() + i, std::min(left, count - i), from[channel]);
            channel = channel + 1 == channels ? 0 : channel + 1;
        }
    }

    const ChannelValues& channels_;
    std::vector<T> scale_, offset_;
};

// Calls f with a null pointer to what is computed in.
template <typename F>
void with_arithmetic(ScalarType computed, const F& f) {
    if (computed == ScalarType::Double) {
        f(static_cast<double*>(nullptr));
    } else {
        f(static_cast<float*>(nullptr));
    }
}

}  // namespace lelkern::mixup
