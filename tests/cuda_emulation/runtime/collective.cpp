#include "collective.h"

#include <cstdio>
#include <cstring>
#include <string>

#include "report.h"
#include "schedule.h"

namespace lelkern::emulation {
namespace {

const char* name(int kind) {
    switch (static_cast<Together>(kind)) {
        case Together::sync:
            return "__syncwarp";
        case Together::shuffle:
            return "a shuffle";
        case Together::ballot:
            return "__ballot_sync";
        case Together::any:
            return "__any_sync";
        case Together::all:
            return "__all_sync";
        case Together::match:
            return "__match_any_sync";
        case Together::reduce:
            return "a reduction";
        case Together::load_matrix:
            return "ldmatrix";
        case Together::multiply_matrices:
            return "mma";
    }
    return "";
}

std::string text(const Fiber& fiber) {
    char mask[16];
    std::snprintf(mask, sizeof mask, "0x%08x", fiber.mask);
    return std::string(name(fiber.kind)) + " with the mask " + mask;
}

bool same_place(const Site& a, const Site& b) {
    return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

// Whether all 32 lanes have to be there, whatever became of them.
bool whole_warp(int kind) {
    return kind == static_cast<int>(Together::load_matrix) ||
           kind == static_cast<int>(Together::multiply_matrices);
}

// Lets the lanes go that a waiting lane waits for, if all are there.
void complete(Worker& worker, int number, const Fiber& one) {
    Warp& warp = worker.warp[number];
    const unsigned lanes = one.mask & warp.live;
    if ((warp.arrived & lanes) != lanes) return;
    bool same = true;
    each_lane(lanes, [&](int lane) {
        const Fiber& other = worker.fibers[number * kLanes + lane];
        same = same && other.mask == one.mask && other.kind == one.kind;
    });
    if (!same) return;                                 // some are still among others
    if (whole_warp(one.kind) && lanes != ~0u) return;  // others wait in vain, which is reported
    each_lane(lanes, [&](int lane) {
        Fiber& other = worker.fibers[number * kLanes + lane];
        if (other.kind != static_cast<int>(Together::sync) && !same_place(other.site, one.site)) {
            report(other, Kind::mask, other.site, [&] {
                return "is here at " + text(other) + ", " + name_thread(one, one.index) +
                       " at another line: " + place(one.site);
            });
        }
    });
    if (one.finish != nullptr) one.finish(worker, number, lanes);
    warp.arrived &= ~lanes;
    set_ready(worker, number, lanes);
}

}  // namespace

void together(Fiber& self, Together kind, unsigned mask, Site site, void* payload,
              void (*finish)(Worker&, int, unsigned)) {
    Worker& worker = *self.worker;
    Warp& warp = worker.warp[self.warp];
    self.site = site;
    self.kind = static_cast<int>(kind);
    self.mask = mask;
    self.payload = payload;
    self.finish = finish;
    if (!(mask >> self.lane & 1)) {
        report(self, Kind::mask, site,
               [&] { return "calls " + text(self) + ", which leaves out its own lane"; });
        stop(self);
    }
    // One of those already here will do: whoever else differs is left waiting, a deadlock.
    if (const unsigned here = mask & warp.arrived; here != 0) {
        Fiber& other = worker.fibers[self.warp * kLanes + __builtin_ctz(here)];
        const bool same = other.mask == mask && other.kind == self.kind;
        // If the other waits for this lane too, each would wait for ever. If not, it may still
        // come.
        if (!same && other.mask >> self.lane & 1) {
            report(self, Kind::mask, site, [&] {
                return "calls " + text(self) + ", while " + name_thread(other, other.index) +
                       " of its warp is at " + text(other) + " at " + place(other.site);
            });
            stop(self);
        }
    }
    warp.arrived |= 1u << self.lane;
    warp.ready &= ~(1u << self.lane);
    if (warp.ready == 0) worker.warps_ready &= ~(1u << self.warp);
    complete(worker, self.warp, self);
    wait(self);
}

void lane_returned(Worker& worker, int warp) {
    for (unsigned left = worker.warp[warp].arrived; left != 0; left &= worker.warp[warp].arrived) {
        const int lane = __builtin_ctz(left);
        complete(worker, warp, worker.fibers[warp * kLanes + lane]);
        left &= left - 1;
    }
}

}  // namespace lelkern::emulation
