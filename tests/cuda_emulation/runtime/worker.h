// A thread of the system that runs blocks, one after the other.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "fiber.h"
#include "order.h"
#include "shadow.h"

namespace lelkern::emulation {

struct Launch;

struct Warp {
    unsigned live = 0;        // lanes that have not returned
    unsigned ready = 0;       // lanes that can run
    unsigned at_barrier = 0;  // lanes that wait for the block
    unsigned arrived = 0;     // lanes that wait for others of the warp
    Lanes order;              // what __syncwarp ordered
};

// Where shared memory lies for the block that runs here.
struct SharedMemory {
    uintptr_t fixed = 0, fixed_bytes = 0;      // variables
    uintptr_t dynamic = 0, dynamic_bytes = 0;  // given at the launch
};

struct Worker {
    explicit Worker(int number);
    ~Worker();

    int number;
    Launch* launch = nullptr;
    Fiber* fibers;  // this worker's own
    void* system_stack = nullptr;
    uint3 block{};
    int threads = 0, warps = 0;
    int live = 0, waiting = 0;  // threads that have not returned; that wait at the barrier
    unsigned warps_ready = 0;
    Warp warp[kLanes];
    Order order = Order::forward;
    Random random;
    int until_preempted = 0;
    bool stopped = false;

    SharedMemory shared;
    unsigned char* dynamic_buffer;
    Shadow shadow;
};

}  // namespace lelkern::emulation
