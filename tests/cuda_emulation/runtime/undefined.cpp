// What -fsanitize=alignment,bounds makes the compiler call: its own library is not linked either.
#include <string>

#include "memory.h"
#include "report.h"
#include "schedule.h"
#include "worker.h"

namespace {

using namespace lelkern::emulation;

// As the compiler lays them out.
struct Location {
    const char* file;
    uint32_t line, column;
};

struct Misaligned {
    Location at;
    const void* type;
    unsigned char alignment;  // the exponent of two
    unsigned char access;
};

struct OutOfBounds {
    Location at;
    const void *array, *index;
};

}  // namespace

extern "C" {

void __ubsan_handle_type_mismatch_v1(Misaligned* what, const void* address) {
    Fiber* const self = current();
    if (self == nullptr) return;
    const Site site{what->at.file, static_cast<int>(what->at.line)};
    report(*self, Kind::alignment, site, [&] {
        return "accesses " + name_address(*self, reinterpret_cast<uintptr_t>(address)) +
               ", which is not aligned to " + std::to_string(1 << what->alignment) + " bytes";
    });
    stop(*self);
}

void __ubsan_handle_out_of_bounds(OutOfBounds* what, uintptr_t index) {
    Fiber* const self = current();
    if (self == nullptr) return;
    const Site site{what->at.file, static_cast<int>(what->at.line)};
    report(*self, Kind::bounds, site, [&] {
        return "uses the index " + std::to_string(static_cast<intptr_t>(index)) +
               ", which the array does not have";
    });
    stop(*self);
}

}  // extern "C"
