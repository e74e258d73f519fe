// One launch of a kernel, over one or several workers.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "cuda_emulation_launch.h"
#include "order.h"

namespace lelkern::emulation {

struct Settings {
    Order order = Order::forward;
    uint64_t seed = 0;
    int workers = 1;
};

// Of the launches that follow.
extern Settings settings;

// How many there were since the last call.
int64_t take_launches();

struct Launch {
    Configuration configuration{};
    void (*call)(void*) = nullptr;
    void* data = nullptr;
    Settings settings;
    int workers = 1;
    std::vector<uint64_t> order;  // in which blocks begin
    std::atomic<std::size_t> next{0};
    std::atomic<bool> stopped{false};
    std::unordered_set<uint64_t> reported;

    uint64_t number(const uint3& at) const {
        const dim3 grid = configuration.grid;
        return (uint64_t{at.z} * grid.y + at.y) * grid.x + at.x;
    }
    uint3 block(uint64_t number) const {
        const dim3 grid = configuration.grid;
        return {static_cast<unsigned>(number % grid.x),
                static_cast<unsigned>(number / grid.x % grid.y),
                static_cast<unsigned>(number / grid.x / grid.y)};
    }
};

}  // namespace lelkern::emulation
