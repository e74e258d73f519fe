#include "cuda_emulation_warp.h"

#include "collective.h"
#include "report.h"
#include "sites.h"

namespace lelkern::emulation {
namespace {

struct Shuffled {
    uint64_t value, result;
    int from;
};

struct Voted {
    bool predicate;
    unsigned result;
};

struct Reduced {
    Reduction kind;
    int64_t value, result;
};

struct Matched {
    uint64_t value;
    unsigned result;
};

// The lane that a lane reads. Beyond its segment of `width` lanes a lane reads itself.
int source(Shuffle kind, int lane, int operand, int width) {
    const int first = lane & ~(width - 1), last = first + width - 1;
    switch (kind) {
        case Shuffle::index:
            return first + (operand & (width - 1));
        case Shuffle::up:
            return lane - operand < first ? lane : lane - operand;
        case Shuffle::down:
            return lane + operand > last ? lane : lane + operand;
        case Shuffle::exclusive_or:
            return (lane ^ operand) > last ? lane : lane ^ operand;
    }
    return lane;
}

void finish_shuffle(Worker& worker, int warp, unsigned lanes) {
    each_lane(lanes, [&](int lane) {
        Shuffled& mine = payload<Shuffled>(worker, warp, lane);
        Fiber& fiber = worker.fibers[warp * kLanes + lane];
        if (!(lanes >> (mine.from & 31) & 1)) {
            report(fiber, Kind::mask, fiber.site, [&] {
                return "reads lane " + std::to_string(mine.from) +
                       " of its warp, which takes no part in the shuffle";
            });
            mine.result = ~uint64_t{0};  // NaN: the hardware's is undefined
            return;
        }
        mine.result = payload<Shuffled>(worker, warp, mine.from & 31).value;
    });
}

template <typename Function>
unsigned mask_of(unsigned lanes, Function holds) {
    unsigned result = 0;
    each_lane(lanes, [&](int lane) { result |= unsigned{holds(lane)} << lane; });
    return result;
}

template <Vote kind>
void finish_vote(Worker& worker, int warp, unsigned lanes) {
    const unsigned votes =
        mask_of(lanes, [&](int lane) { return payload<Voted>(worker, warp, lane).predicate; });
    each_lane(lanes, [&](int lane) {
        payload<Voted>(worker, warp, lane).result =
            kind == Vote::ballot ? votes : (kind == Vote::any ? votes != 0 : votes == lanes);
    });
}

void finish_match(Worker& worker, int warp, unsigned lanes) {
    each_lane(lanes, [&](int lane) {
        Matched& mine = payload<Matched>(worker, warp, lane);
        mine.result = mask_of(lanes, [&](int other) {
            return payload<Matched>(worker, warp, other).value == mine.value;
        });
    });
}

int64_t combine(Reduction kind, int64_t a, int64_t b) {
    switch (kind) {
        case Reduction::add:
            return a + b;
        case Reduction::min:
            return b < a ? b : a;
        case Reduction::max:
            return a < b ? b : a;
        case Reduction::bit_and:
            return a & b;
        case Reduction::bit_or:
            return a | b;
        case Reduction::bit_xor:
            return a ^ b;
    }
    return a;
}

void finish_reduce(Worker& worker, int warp, unsigned lanes) {
    const Reduced& first = payload<Reduced>(worker, warp, __builtin_ctz(lanes));
    int64_t total = first.value;
    each_lane(lanes & (lanes - 1), [&](int lane) {
        total = combine(first.kind, total, payload<Reduced>(worker, warp, lane).value);
    });
    each_lane(lanes, [&](int lane) { payload<Reduced>(worker, warp, lane).result = total; });
}

void finish_sync(Worker& worker, int warp, unsigned lanes) {
    worker.warp[warp].order.sync(lanes, worker.warp[warp].live);
}

}  // namespace

void sync_warp(unsigned mask, Site site) {
    if (left_out(site)) return;
    together(*current(), Together::sync, mask, site, nullptr, finish_sync);
}

uint64_t shuffle(Shuffle kind, unsigned mask, uint64_t value, int operand, int width, Site site) {
    Fiber& self = *current();
    Shuffled mine{value, 0, source(kind, self.lane, operand, width)};
    together(self, Together::shuffle, mask, site, &mine, finish_shuffle);
    return mine.result;
}

unsigned vote(Vote kind, unsigned mask, bool predicate, Site site) {
    Voted mine{predicate, 0};
    Fiber& self = *current();
    switch (kind) {
        case Vote::ballot:
            together(self, Together::ballot, mask, site, &mine, finish_vote<Vote::ballot>);
            break;
        case Vote::any:
            together(self, Together::any, mask, site, &mine, finish_vote<Vote::any>);
            break;
        case Vote::all:
            together(self, Together::all, mask, site, &mine, finish_vote<Vote::all>);
            break;
    }
    return mine.result;
}

unsigned match_any(unsigned mask, uint64_t value, Site site) {
    Matched mine{value, 0};
    together(*current(), Together::match, mask, site, &mine, finish_match);
    return mine.result;
}

int64_t reduce(Reduction kind, unsigned mask, int64_t value, Site site) {
    Reduced mine{kind, value, 0};
    together(*current(), Together::reduce, mask, site, &mine, finish_reduce);
    return mine.result;
}

// Which lanes run together is not for a program to know. The least that may be true is the answer
// that a program which assumes more fails on.
unsigned active_mask() { return 1u << current()->lane; }

}  // namespace lelkern::emulation
