// The update of averages on a CPU, once it is known where they are.
#pragma once

#include <cstdint>
#include <optional>

#include "ema/common/ema_lists.h"

namespace lelkern::ema {

// Averages of 16 bits are rounded stochastically if there is a seed.
void update(const Pairs& lists, double decay, std::optional<uint64_t> seed);

}  // namespace lelkern::ema
