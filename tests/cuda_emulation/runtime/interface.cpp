// What Python calls, by name, in the loaded module.
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "cuda_emulation_export.h"
#include "launch.h"
#include "memory.h"
#include "report.h"
#include "sites.h"

namespace lelkern::emulation {
namespace {

// A function's own, since modules register while they are loaded, in no order.
std::vector<Exported>& exported() {
    static std::vector<Exported> all;
    return all;
}

}  // namespace

void add_exported(const Exported& one) { exported().push_back(one); }

}  // namespace lelkern::emulation

#define LELKERN_VISIBLE extern "C" __attribute__((visibility("default")))

using namespace lelkern::emulation;

LELKERN_VISIBLE const char* lelkern_emulation_functions() {
    static std::string text;
    text.clear();
    for (const Exported& one : exported())
        text += std::string(one.name) + ":" + one.parameters + "\n";
    return text.c_str();
}

LELKERN_VISIBLE void lelkern_emulation_set(int order, uint64_t seed, int workers) {
    settings = {static_cast<Order>(order), seed, workers};
}

LELKERN_VISIBLE void lelkern_emulation_watch(int on, const char* without) {
    watch_sites(on != 0, without);
}

LELKERN_VISIBLE const char* lelkern_emulation_sites() {
    static std::string text;
    text = sites_met();
    return text.c_str();
}

LELKERN_VISIBLE void* lelkern_emulation_take_buffer(uint64_t bytes, uint64_t misaligned) {
    try {
        return take_buffer(bytes, misaligned);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

LELKERN_VISIBLE int lelkern_emulation_give_buffers_back() { return give_buffers_back() ? 1 : 0; }

LELKERN_VISIBLE int64_t lelkern_emulation_call(uint64_t function, const uint64_t* slots) {
    return exported()[function].call(slots);
}

LELKERN_VISIBLE const char* lelkern_emulation_reports() { return take_reports(); }
