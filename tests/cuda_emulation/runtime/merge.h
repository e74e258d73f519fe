// Races between blocks that ran on different workers.
#pragma once

#include <memory>
#include <vector>

#include "worker.h"

namespace lelkern::emulation {

// Each worker knows what its own blocks did. No order exists between blocks, so what remains is to
// compare what they did, whenever it was.
void find_races_between(const std::vector<std::unique_ptr<Worker>>& workers, int count);

}  // namespace lelkern::emulation
