#include "prox/cpu/group_tasks.h"

#include <torch/csrc/stable/ops.h>
#include <torch/headeronly/util/Exception.h>

#include <atomic>
#include <limits>

namespace lelkern::prox {

GroupTasks::GroupTasks(const Groups& groups) : groups_(groups) {
    if (groups.listed()) {
        starts_.push_back(0);
        for (int64_t g = 0; g < groups.count; ++g) {
            const int64_t numbers = groups.ptr[g + 1] - groups.ptr[starts_.back()];
            if (numbers >= kGrain || g + 1 == groups.count) starts_.push_back(g + 1);
        }
        count_ = static_cast<int64_t>(starts_.size()) - 1;
        return;
    }
    const int64_t size = std::max<int64_t>(1, groups.size);
    if (groups.inner == 1) {
        width_ = std::max<int64_t>(1, kGrain / size);
        count_ = (groups.count + width_ - 1) / width_;
        return;
    }
    constexpr int64_t widest = 16, tile = 8 * kGrain;  // a line of the cache, where rows are short
    width_ = std::clamp<int64_t>(tile / size, 1, widest);
    tiles_ = (groups.inner + width_ - 1) / width_;
    count_ = groups.outer * tiles_;
}

void check_listed_groups(const Groups& groups, int64_t numbers) {
    if (!groups.listed()) return;
    bool rises = groups.ptr[0] == 0 && groups.ptr[groups.count] == groups.entries;
    for (int64_t g = 0; g < groups.count; ++g) rises &= groups.ptr[g] <= groups.ptr[g + 1];
    STD_TORCH_CHECK(rises, "group_ptr must rise from 0 to ", groups.entries,
                    ", the length of group_indices");
    std::atomic<bool> inside{true};
    torch::stable::parallel_for(0, groups.entries, kGrain, [&](int64_t begin, int64_t end) {
        uint64_t largest = 0;  // in which what is negative is large
        for (int64_t i = begin; i < end; ++i) {
            largest = std::max(largest, static_cast<uint64_t>(groups.indices[i]));
        }
        if (begin < end && largest >= static_cast<uint64_t>(numbers)) inside = false;
    });
    STD_TORCH_CHECK(inside, "group_indices must be at least 0 and below ", numbers);
}

double threshold_of(const Scaled& thresholds, int64_t group, ScalarType dtype) {
    if (thresholds.values == nullptr) return 0;
    const int64_t place = thresholds.each ? group : 0;
    const bool in_double = dtype == ScalarType::Double;
    double value = in_double ? static_cast<const double*>(thresholds.values)[place]
                             : static_cast<const float*>(thresholds.values)[place];
    if (value < std::numeric_limits<double>::infinity()) value *= thresholds.scale;
    if (!in_double) value = static_cast<float>(value);
    return value >= 0 ? value : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace lelkern::prox
