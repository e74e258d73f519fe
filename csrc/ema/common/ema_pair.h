// The order of what an update of averages goes through side by side.
#pragma once

namespace lelkern::ema {

// A pair is an average and its parameter.
constexpr int kPair = 2, kAverage = 0, kParam = 1;

}  // namespace lelkern::ema
