#include "cuda_emulation_atomics.h"

#include <algorithm>

#include "cuda_emulation_math.h"
#include "launch.h"
#include "memory.h"
#include "schedule.h"
#include "worker.h"

namespace {

using namespace lelkern::emulation;

void access(const void* address, unsigned bytes, void* from) {
    Fiber& self = *current();
    if (!self.worker->launch->configuration.checked) return;
    maybe_yield(self);
    check(self, Access::atomic, address, bytes, reinterpret_cast<uintptr_t>(from) - 1);
}

// Blocks run at the same time, so these are atomic here as well.
template <typename T, typename Function>
T update(T* address, Function function) {
    T old;
    __atomic_load(address, &old, __ATOMIC_RELAXED);
    for (;;) {
        T value = function(old);
        if (__atomic_compare_exchange(address, &old, &value, false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED)) {
            return old;
        }
    }
}

}  // namespace

#define LELKERN_ATOMIC(name, type, expression)                                    \
    type name(type* address, type value) {                                        \
        access(address, sizeof(type), __builtin_return_address(0));               \
        return update(address, [value](type old) -> type { return expression; }); \
    }
#define LELKERN_ATOMICS(name, expression)      \
    LELKERN_ATOMIC(name, int, expression)      \
    LELKERN_ATOMIC(name, unsigned, expression) \
    LELKERN_ATOMIC(name, unsigned long long, expression)

LELKERN_ATOMICS(atomicAdd, old + value)
LELKERN_ATOMIC(atomicAdd, float, old + value)
LELKERN_ATOMIC(atomicAdd, double, old + value)
LELKERN_ATOMIC(atomicSub, int, old - value)
LELKERN_ATOMIC(atomicSub, unsigned, old - value)
LELKERN_ATOMICS(atomicMin, std::min(old, value))
LELKERN_ATOMIC(atomicMin, long long, std::min(old, value))
LELKERN_ATOMICS(atomicMax, std::max(old, value))
LELKERN_ATOMIC(atomicMax, long long, std::max(old, value))
LELKERN_ATOMICS(atomicAnd, old& value)
LELKERN_ATOMICS(atomicOr, old | value)
LELKERN_ATOMICS(atomicXor, old ^ value)
LELKERN_ATOMICS(atomicExch, (static_cast<void>(old), value))
LELKERN_ATOMIC(atomicExch, float, (static_cast<void>(old), value))
LELKERN_ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)
LELKERN_ATOMIC(atomicDec, unsigned, old == 0 || old > value ? value : old - 1)

#define LELKERN_COMPARE_AND_SWAP(type)                                                           \
    type atomicCAS(type* address, type expected, type value) {                                   \
        access(address, sizeof(type), __builtin_return_address(0));                              \
        return update(address, [=](type old) -> type { return old == expected ? value : old; }); \
    }
LELKERN_COMPARE_AND_SWAP(int)
LELKERN_COMPARE_AND_SWAP(unsigned)
LELKERN_COMPARE_AND_SWAP(unsigned long long)
LELKERN_COMPARE_AND_SWAP(unsigned short)
