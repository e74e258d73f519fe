// What a CPU needs to mix rows: arithmetic for whatever instruction set it runs.
#pragma once

#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>

namespace lelkern::mixup {

using torch::headeronly::ScalarType;

// Numbers of channels for n features side by side, of the type that is computed in: one for all of
// them, or one each. Null: 1, or 0.
struct FeatureValues {
    const void *scale, *offset;
    bool one;
};

// How mixing uses memory.
struct Traffic {
    const void* next;  // of the features that are mixed next, those of the partner
    bool past_cache;   // whether these are fetched ahead, and results go past the cache
};

// Functions over n features side by side, from rows of one type to rows of another. Products and
// sums are rounded one by one.
struct MixingKernels {
    // to = own_weight a + partner_weight b, with a and b scaled and offset first.
    void (*mix)(const void* own, const void* partner, void* to, int64_t n, double own_weight,
                double partner_weight, const FeatureValues& values, const Traffic& traffic);
    // to = own, scaled and offset.
    void (*rescale)(const void* own, void* to, int64_t n, const FeatureValues& values);
    // The sum of grad (a - b), with a and b as above.
    double (*dot)(const void* grad, const void* own, const void* partner, int64_t n,
                  const FeatureValues& values);
    // For gradients: to = scale (own_weight a + partner_weight b), and scale (a + b), where a row
    // that is null is 0. Null for rows of whole numbers.
    void (*mix_back)(const void* own, const void* partner, void* to, int64_t n, double own_weight,
                     double partner_weight, const FeatureValues& values, const Traffic& traffic);
    void (*add_back)(const void* own, const void* partner, void* to, int64_t n,
                     const FeatureValues& values);
};

const MixingKernels& mixing_kernels(ScalarType from, ScalarType to);

}  // namespace lelkern::mixup
