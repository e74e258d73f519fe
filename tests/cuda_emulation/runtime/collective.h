// What the lanes of a warp do together: each waits until all that the mask names are there.
#pragma once

#include "worker.h"

namespace lelkern::emulation {

enum class Together : int {
    sync,
    shuffle,
    ballot,
    any,
    all,
    match,
    reduce,
    load_matrix,
    multiply_matrices
};

// The last lane to arrive calls finish(worker, warp, lanes) for all; payload is what it needs to
// know of each lane, and where its result goes.
void together(Fiber& self, Together kind, unsigned mask, Site site, void* payload,
              void (*finish)(Worker& worker, int warp, unsigned lanes));

template <typename Payload>
Payload& payload(Worker& worker, int warp, int lane) {
    return *static_cast<Payload*>(worker.fibers[warp * kLanes + lane].payload);
}

template <typename Function>
void each_lane(unsigned lanes, Function function) {
    for (; lanes != 0; lanes &= lanes - 1) function(__builtin_ctz(lanes));
}

}  // namespace lelkern::emulation
