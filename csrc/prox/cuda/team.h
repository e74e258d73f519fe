// How the threads of a block are shared out among groups, for any host compiler.
#pragma once

#include "shared/common/host_device.h"

namespace lelkern::prox::cuda {

constexpr int kThreads = 256, kWarp = 32;

// A group has so many threads, a power of two. Those of one are neighbours, of a warp or a whole
// block of them; or, if interleaved, neighbours are of neighbouring groups.
struct TeamShape {
    int lanes;
    bool interleaved;

    LELKERN_HOST_DEVICE constexpr int per_block() const { return kThreads / lanes; }
};

}  // namespace lelkern::prox::cuda
