// What the module that binds kernels to Python finds in the loaded one.
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

const std::vector<Exported>& functions() { return exported(); }

void set(int order, uint64_t seed, int workers) {
    settings = {static_cast<Order>(order), seed, workers};
}

const Interface interface{functions,         set,          watch_sites, take_buffer,
                          give_buffers_back, take_reports, sites_met};

}  // namespace

void add_exported(const Exported& one) { exported().push_back(one); }

}  // namespace lelkern::emulation

extern "C" __attribute__((visibility("default"))) const void* lelkern_emulation() {
    return &lelkern::emulation::interface;
}
