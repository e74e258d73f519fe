// What was found wrong, with who did it and where.
#pragma once

#include <cstdint>
#include <string>

#include "fiber.h"

namespace lelkern::emulation {

enum class Kind { race, bounds, uninitialized, pending, barrier, mask, deadlock, alignment };

// Whether nothing of the kind was reported for this place in this launch.
bool is_new(Fiber& fiber, Kind kind, uint64_t place);
void add_report(Fiber& fiber, Kind kind, const std::string& place, const std::string& text);

// "{1f00}": an offset into the module, for whose file and line the reader of a report looks.
std::string place(uint32_t pc);
std::string place(const Site& site);

std::string name_thread(const Fiber& fiber, int thread);
std::string name_block(const Fiber& fiber, uint64_t block);
// A thread of this or of another block.
std::string thread_of(const Fiber& fiber, int thread, uint64_t block);

// Cold: the compiler keeps what is hardly ever run out of the way of the rest.
template <typename Text>
__attribute__((cold, noinline)) void report(Fiber& fiber, Kind kind, uint32_t pc, Text text) {
    if (is_new(fiber, kind, pc)) add_report(fiber, kind, place(pc), text());
}

template <typename Text>
__attribute__((cold, noinline)) void report(Fiber& fiber, Kind kind, const Site& site, Text text) {
    const uint64_t key = reinterpret_cast<uint64_t>(site.file) * 65599 + site.line;
    if (is_new(fiber, kind, key)) add_report(fiber, kind, place(site), text());
}

// All since the last call: one a line.
const char* take_reports();

}  // namespace lelkern::emulation
