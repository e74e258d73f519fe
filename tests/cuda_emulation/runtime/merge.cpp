#include "merge.h"

#include "memory.h"
#include "report.h"

namespace lelkern::emulation {
namespace {

bool conflict(const Shadow::Summary& a, const Shadow::Summary& b) {
    if (!a.write || !(b.read || b.write)) return false;
    return b.read || !(a.atomic && b.atomic);
}

}  // namespace

void find_races_between(const std::vector<std::unique_ptr<Worker>>& workers, int count) {
    std::vector<Shadow::Summary> did(static_cast<std::size_t>(count));
    for (uintptr_t offset = 0; offset < global_used();) {
        const std::size_t page = offset >> kPageShift;
        bool written = false;
        for (std::size_t i = 0; i < did.size(); ++i) {
            written = written || workers[i]->shadow.wrote_page(page);
        }
        if (!written) {
            offset = (page + 1) << kPageShift;
            continue;
        }
        bool split = false, wrote = false;
        for (std::size_t i = 0; i < did.size(); ++i) {
            const Shadow& shadow = workers[i]->shadow;
            did[i] = shadow.summary(offset);
            split = split || shadow.is_split(offset);
            wrote = wrote || did[i].write;
        }
        for (std::size_t i = 0; wrote && i < did.size(); ++i) {
            for (std::size_t j = 0; j < did.size(); ++j) {
                if (i == j || !conflict(did[i], did[j])) continue;
                Fiber& fiber = workers[i]->fibers[did[i].thread];
                report(fiber, Kind::race, did[i].pc, [&] {
                    return "writes " + name_address(fiber, global_begin + offset) +
                           ", which another block accesses at " + place(did[j].pc);
                });
            }
        }
        offset += split ? 1 : 4;
    }
}

}  // namespace lelkern::emulation
