// A CUDA thread as a fiber: a stack of its own, and a switch to another one.
#pragma once

#include <vector_types.h>

#include <cstdint>
#include <vector>

#include "cuda_emulation_warp.h"

namespace lelkern::emulation {

constexpr int kLanes = 32;
constexpr int kThreads = 1024;  // of a block, at most
constexpr int kWorkers = 16;    // blocks at a time, at most
constexpr int kStackShift = 17;
constexpr uintptr_t kStackBytes = uintptr_t{1} << kStackShift;

struct Worker;

// Sixteen bytes on their way from global to shared memory.
struct Copy {
    void* to;
    unsigned char bytes[16];
    uintptr_t pc;
};

struct Fiber {
    void* stack_pointer;
    Worker* worker;
    uint3 thread;
    int index, warp, lane;

    // What it waits for, while it waits.
    Site site;
    int kind;
    unsigned mask;
    void* payload;
    void (*finish)(Worker& worker, int warp, unsigned lanes);

    // Copies under way, and how many of them there were at the end of each group.
    std::vector<Copy> copies;
    std::vector<std::size_t> groups;
};

// Stacks lie side by side, so that a stack pointer tells whose it is.
extern uintptr_t stacks;  // where the first begins; 0 until the first launch
extern Fiber* fibers;     // as many

void make_stacks();

// The fiber that runs, or null on a stack of the system's.
inline Fiber* current() {
    const uintptr_t at = reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) - stacks;
    return at < kStackBytes * kThreads * kWorkers ? fibers + (at >> kStackShift) : nullptr;
}

inline uintptr_t stack_of(const Fiber& fiber) {
    return stacks + static_cast<uintptr_t>(&fiber - fibers) * kStackBytes;
}

// Makes a fiber ready to run entry() from its beginning.
void prepare(Fiber& fiber, void (*entry)());

// Saves where the caller is in *from and goes on at `to`.
extern "C" void lelkern_emulation_switch(void** from, void* to);

}  // namespace lelkern::emulation
