// What -fsanitize=thread makes the compiler call at every access to memory. Its own library is not
// linked: here are the same names with what a GPU needs.
#include "memory.h"
#include "schedule.h"
#include "worker.h"

namespace {

using namespace lelkern::emulation;

inline void access(Access access, const void* address, unsigned bytes, void* from) {
    Fiber* const fiber = current();
    if (fiber == nullptr) return;  // not a kernel
    if (reinterpret_cast<uintptr_t>(address) - stack_of(*fiber) < kStackBytes) return;
    maybe_yield(*fiber);
    // One less: the call's own address, for what follows may belong to another line.
    check(*fiber, access, address, bytes, reinterpret_cast<uintptr_t>(from) - 1);
}

}  // namespace

#define LELKERN_HOOK(name, kind, bytes)                                    \
    extern "C" void name(void* address) {                                  \
        access(Access::kind, address, bytes, __builtin_return_address(0)); \
    }
#define LELKERN_HOOKS(bytes)                               \
    LELKERN_HOOK(__tsan_read##bytes, read, bytes)          \
    LELKERN_HOOK(__tsan_write##bytes, write, bytes)        \
    LELKERN_HOOK(__tsan_volatile_read##bytes, read, bytes) \
    LELKERN_HOOK(__tsan_volatile_write##bytes, write, bytes)

LELKERN_HOOKS(1)
LELKERN_HOOKS(2)
LELKERN_HOOKS(4)
LELKERN_HOOKS(8)
LELKERN_HOOKS(16)

#define LELKERN_UNALIGNED_HOOKS(bytes)                      \
    LELKERN_HOOK(__tsan_unaligned_read##bytes, read, bytes) \
    LELKERN_HOOK(__tsan_unaligned_write##bytes, write, bytes)

LELKERN_UNALIGNED_HOOKS(2)
LELKERN_UNALIGNED_HOOKS(4)
LELKERN_UNALIGNED_HOOKS(8)
LELKERN_UNALIGNED_HOOKS(16)

extern "C" {

void __tsan_read_range(void* address, unsigned long bytes) {
    access(Access::read, address, static_cast<unsigned>(bytes), __builtin_return_address(0));
}

void __tsan_write_range(void* address, unsigned long bytes) {
    access(Access::write, address, static_cast<unsigned>(bytes), __builtin_return_address(0));
}

void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_init() {}

}  // extern "C"
