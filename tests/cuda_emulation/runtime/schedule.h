// Who runs next.
#pragma once

#include "worker.h"

namespace lelkern::emulation {

// Runs one block from beginning to end on the calling thread of the system.
void run_block(Worker& worker, uint64_t block);

// Another fiber runs; returns once the caller is ready and chosen.
void wait(Fiber& self);

// Called where a thread touches memory: in the order `preempt`, now and then another one runs.
inline void maybe_yield(Fiber& self) {
    Worker& worker = *self.worker;
    if (worker.order != Order::preempt || --worker.until_preempted > 0) return;
    worker.until_preempted = 1 + static_cast<int>(worker.random.next() % 16);
    wait(self);
}

// Ends the block, and the launch: what the caller is about to do makes no sense.
[[noreturn]] void stop(Fiber& self);

void set_ready(Worker& worker, int warp, unsigned lanes);

// The lanes of a warp that wait for each other may be all there are, now that one returned.
void lane_returned(Worker& worker, int warp);

}  // namespace lelkern::emulation
