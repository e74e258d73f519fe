#include "report.h"

#include <cstdio>
#include <cstring>

#include "launch.h"
#include "worker.h"

namespace lelkern::emulation {
namespace {

constexpr std::size_t kReports = 50;  // enough for anyone

std::string coordinates(unsigned x, unsigned y, unsigned z) {
    return "(" + std::to_string(x) + "," + std::to_string(y) + "," + std::to_string(z) + ")";
}

const char* name(Kind kind) {
    switch (kind) {
        case Kind::race:
            return "race";
        case Kind::bounds:
            return "out of bounds";
        case Kind::uninitialized:
            return "uninitialized";
        case Kind::pending:
            return "pending copy";
        case Kind::barrier:
            return "divergent barrier";
        case Kind::mask:
            return "mask";
        case Kind::deadlock:
            return "deadlock";
        case Kind::alignment:
            return "misaligned";
    }
    return "";
}

std::mutex reports_mutex;
std::vector<std::string> reports;

}  // namespace

bool is_new(Fiber& fiber, Kind kind, uint64_t place) {
    Launch& launch = *fiber.worker->launch;
    const std::lock_guard<std::mutex> lock(reports_mutex);
    return launch.reported.insert(place * 16 + static_cast<uint64_t>(kind)).second;
}

void add_report(Fiber& fiber, Kind kind, const std::string& place, const std::string& text) {
    const std::string all =
        std::string(name(kind)) + ": kernel " + fiber.worker->launch->configuration.kernel +
        " at " + place + ": " +
        thread_of(fiber, fiber.index, fiber.worker->launch->number(fiber.worker->block)) + " " +
        text;
    const std::lock_guard<std::mutex> lock(reports_mutex);
    if (reports.size() < kReports) reports.push_back(all);
}

std::string place(uint32_t pc) {
    char text[16];
    std::snprintf(text, sizeof text, "{%x}", pc);
    return text;
}

std::string place(const Site& site) {
    return std::string(site.file) + ":" + std::to_string(site.line);
}

std::string name_thread(const Fiber& fiber, int thread) {
    const dim3 size = fiber.worker->launch->configuration.block;
    const auto i = static_cast<unsigned>(thread);
    return "thread " + coordinates(i % size.x, i / size.x % size.y, i / size.x / size.y);
}

std::string name_block(const Fiber& fiber, uint64_t block) {
    const uint3 at = fiber.worker->launch->block(block);
    return coordinates(at.x, at.y, at.z);
}

std::string thread_of(const Fiber& fiber, int thread, uint64_t block) {
    return name_thread(fiber, thread) + " of block " + name_block(fiber, block);
}

const char* take_reports() {
    static std::string text;
    text.clear();
    const std::lock_guard<std::mutex> lock(reports_mutex);
    for (const std::string& report : reports) text += report + "\n";
    reports.clear();
    return text.c_str();
}

}  // namespace lelkern::emulation
