#include "schedule.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

#include "launch.h"
#include "report.h"
#include "sites.h"

namespace lelkern::emulation {
namespace {

Fiber* choose(Worker& worker, int warp, int lane) {
    if (worker.warps_ready == 0) return nullptr;
    const bool random = worker.order >= Order::random;
    if (random || warp < 0 || !(worker.warps_ready >> warp & 1)) {
        warp = next_bit(worker.warps_ready, warp < 0 && worker.order == Order::reverse ? 32 : warp,
                        worker.order, worker.random);
        lane = worker.order == Order::reverse ? 32 : -1;
    }
    lane = next_bit(worker.warp[warp].ready, lane, worker.order, worker.random);
    return worker.fibers + warp * kLanes + lane;
}

void go(Fiber& self, Fiber* next) {
    if (next == &self) return;
    lelkern_emulation_switch(&self.stack_pointer,
                             next != nullptr ? next->stack_pointer : self.worker->system_stack);
}

void release_barrier(Worker& worker) {
    const Fiber* first = nullptr;
    for (int i = 0; i < worker.threads; ++i) {
        Fiber& fiber = worker.fibers[i];
        if (!(worker.warp[fiber.warp].live >> fiber.lane & 1)) continue;
        if (first == nullptr) first = &fiber;
        const bool same = fiber.site.line == first->site.line &&
                          (fiber.site.file == first->site.file ||
                           std::strcmp(fiber.site.file, first->site.file) == 0);
        if (!same) {
            report(fiber, Kind::barrier, fiber.site, [&] {
                return "is at this __syncthreads, " + name_thread(fiber, first->index) +
                       " at the one at " + place(first->site);
            });
        }
    }
    worker.waiting = 0;
    worker.shadow.barrier();
    for (int i = 0; i < worker.warps; ++i) {
        Warp& warp = worker.warp[i];
        warp.at_barrier = 0;
        warp.order.reset();
        set_ready(worker, i, warp.live);
    }
}

// The end of a fiber's life; its stack is not returned to.
[[noreturn]] void returned(Fiber& self) {
    Worker& worker = *self.worker;
    Warp& warp = worker.warp[self.warp];
    const unsigned bit = 1u << self.lane;
    warp.live &= ~bit;
    warp.ready &= ~bit;
    if (warp.ready == 0) worker.warps_ready &= ~(1u << self.warp);
    --worker.live;
    int from_warp = self.warp, from_lane = self.lane;
    if (warp.arrived != 0) lane_returned(worker, self.warp);
    if (worker.live > 0 && worker.waiting == worker.live) {
        release_barrier(worker);
        from_warp = from_lane = -1;
    }
    go(self, choose(worker, from_warp, from_lane));
    __builtin_unreachable();
}

void enter() {
    Fiber& self = *current();
    self.worker->launch->call(self.worker->launch->data);
    returned(self);
}

std::string lanes(unsigned mask) {
    char text[16];
    std::snprintf(text, sizeof text, "0x%08x", mask);
    return text;
}

void report_deadlock(Worker& worker) {
    Fiber* at_barrier = nullptr;
    for (int i = 0; i < worker.threads; ++i) {
        Fiber& fiber = worker.fibers[i];
        Warp& warp = worker.warp[fiber.warp];
        if (warp.at_barrier >> fiber.lane & 1) {
            if (at_barrier == nullptr) at_barrier = &fiber;
        } else if (warp.arrived >> fiber.lane & 1) {
            report(fiber, Kind::deadlock, fiber.site, [&] {
                return "waits with the mask " + lanes(fiber.mask) + " for the lanes " +
                       lanes(fiber.mask & ~warp.arrived) +
                       " of its warp, which wait elsewhere or returned";
            });
        }
    }
    if (at_barrier != nullptr) {
        report(*at_barrier, Kind::deadlock, at_barrier->site, [&] {
            return "waits at __syncthreads with " + std::to_string(worker.waiting - 1) +
                   " others; the other " + std::to_string(worker.live - worker.waiting) +
                   " threads of the block wait elsewhere";
        });
    }
}

}  // namespace

void set_ready(Worker& worker, int warp, unsigned lanes) {
    worker.warp[warp].ready |= lanes;
    if (worker.warp[warp].ready != 0) worker.warps_ready |= 1u << warp;
}

void wait(Fiber& self) {
    Worker& worker = *self.worker;
    go(self, choose(worker, self.warp, self.lane));
}

void stop(Fiber& self) {
    self.worker->stopped = true;
    self.worker->launch->stopped = true;
    lelkern_emulation_switch(&self.stack_pointer, self.worker->system_stack);
    __builtin_unreachable();
}

void sync_threads(const char* file, int line) {
    Fiber& self = *current();
    Worker& worker = *self.worker;
    Warp& warp = worker.warp[self.warp];
    if (left_out({file, line})) return;
    self.site = {file, line};
    warp.at_barrier |= 1u << self.lane;
    warp.ready &= ~(1u << self.lane);
    if (warp.ready == 0) worker.warps_ready &= ~(1u << self.warp);
    if (++worker.waiting == worker.live) {
        release_barrier(worker);
        // Every interval between barriers begins with the first thread in order.
        go(self, choose(worker, -1, -1));
    } else {
        wait(self);
    }
}

void run_block(Worker& worker, uint64_t number) {
    Launch& launch = *worker.launch;
    const dim3 size = launch.configuration.block;
    worker.block = launch.block(number);
    worker.order = launch.settings.order;
    worker.random.seed(launch.settings.seed, number);
    worker.until_preempted = 1;
    worker.threads = worker.live = static_cast<int>(size.x * size.y * size.z);
    worker.warps = (worker.threads + kLanes - 1) / kLanes;
    worker.waiting = 0;
    worker.warps_ready = 0;
    worker.shadow.begin_block(number, worker.shared.fixed_bytes + 16 + worker.shared.dynamic_bytes);

    // All ones are NaN in every floating format.
    std::memset(reinterpret_cast<void*>(worker.shared.fixed), 0xff, worker.shared.fixed_bytes);
    std::memset(reinterpret_cast<void*>(worker.shared.dynamic), 0xff, worker.shared.dynamic_bytes);

    for (int i = 0; i < worker.threads; ++i) {
        Fiber& fiber = worker.fibers[i];
        const auto t = static_cast<unsigned>(i);
        fiber.worker = &worker;
        fiber.thread = {t % size.x, t / size.x % size.y, t / size.x / size.y};
        fiber.index = i;
        fiber.warp = i / kLanes;
        fiber.lane = i % kLanes;
        fiber.copies.clear();
        fiber.groups.clear();
        prepare(fiber, enter);
    }
    for (int i = 0; i < worker.warps; ++i) {
        Warp& warp = worker.warp[i];
        const int count = std::min(kLanes, worker.threads - i * kLanes);
        warp.live = ~0u >> (kLanes - count);
        warp.ready = warp.at_barrier = warp.arrived = 0;
        warp.order.reset();
        set_ready(worker, i, warp.live);
    }
    lelkern_emulation_switch(&worker.system_stack, choose(worker, -1, -1)->stack_pointer);
    if (worker.live > 0 && !worker.stopped) {
        launch.stopped = true;
        report_deadlock(worker);
    }
}

}  // namespace lelkern::emulation
