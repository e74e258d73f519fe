// What a CPU needs for draws of MixUp's lambda: several at a time, on whatever instruction set it
// runs.
#pragma once

#include <cstdint>

namespace lelkern::mixup {

// to = the draws [begin, begin + count) of Beta(alpha, alpha) for alpha > 0, or of max(lam, 1 -
// lam) if they are to be folded: those of beta_draw, but for the last bits of its functions. What
// else is drawn changes no bit of a draw.
void beta_draws(uint64_t seed, double alpha, bool fold, int64_t begin, int64_t count, double* to);

}  // namespace lelkern::mixup
