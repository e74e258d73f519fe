// What the lanes of a warp do together.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace lelkern::emulation {

struct Site {
    const char* file;
    int line;
};

enum class Shuffle { index, up, down, exclusive_or };
enum class Vote { ballot, any, all };
enum class Reduction { add, min, max, bit_and, bit_or, bit_xor };

void sync_warp(unsigned mask, Site site);
uint64_t shuffle(Shuffle kind, unsigned mask, uint64_t value, int operand, int width, Site site);
unsigned vote(Vote kind, unsigned mask, bool predicate, Site site);
unsigned match_any(unsigned mask, uint64_t value, Site site);
int64_t reduce(Reduction kind, unsigned mask, int64_t value, Site site);
unsigned active_mask();

// Numbers travel as 64 bits.
template <typename T>
T shuffle_any(Shuffle kind, unsigned mask, T value, int operand, int width, Site site) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(T));
    bits = shuffle(kind, mask, bits, operand, width, site);
    __builtin_memcpy(static_cast<void*>(&value), &bits, sizeof(T));
    return value;
}

}  // namespace lelkern::emulation

#define LELKERN_EMULATION_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

#define LELKERN_EMULATION_SHUFFLE(name, kind, type)                                        \
    template <typename T>                                                                  \
    T name(unsigned mask, T value, type operand, int width = 32, LELKERN_EMULATION_SITE) { \
        using namespace ::lelkern::emulation;                                              \
        return shuffle_any(Shuffle::kind, mask, value, static_cast<int>(operand), width,   \
                           {file, line});                                                  \
    }
LELKERN_EMULATION_SHUFFLE(__shfl_sync, index, int)
LELKERN_EMULATION_SHUFFLE(__shfl_up_sync, up, unsigned)
LELKERN_EMULATION_SHUFFLE(__shfl_down_sync, down, unsigned)
LELKERN_EMULATION_SHUFFLE(__shfl_xor_sync, exclusive_or, int)
#undef LELKERN_EMULATION_SHUFFLE

inline void __syncwarp(unsigned mask = 0xffffffff, LELKERN_EMULATION_SITE) {
    ::lelkern::emulation::sync_warp(mask, {file, line});
}

inline unsigned __ballot_sync(unsigned mask, int predicate, LELKERN_EMULATION_SITE) {
    using namespace ::lelkern::emulation;
    return vote(Vote::ballot, mask, predicate != 0, {file, line});
}

inline int __any_sync(unsigned mask, int predicate, LELKERN_EMULATION_SITE) {
    using namespace ::lelkern::emulation;
    return static_cast<int>(vote(Vote::any, mask, predicate != 0, {file, line}));
}

inline int __all_sync(unsigned mask, int predicate, LELKERN_EMULATION_SITE) {
    using namespace ::lelkern::emulation;
    return static_cast<int>(vote(Vote::all, mask, predicate != 0, {file, line}));
}

template <typename T>
unsigned __match_any_sync(unsigned mask, T value, LELKERN_EMULATION_SITE) {
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(T));
    return ::lelkern::emulation::match_any(mask, bits, {file, line});
}

inline unsigned __activemask() { return ::lelkern::emulation::active_mask(); }

#define LELKERN_EMULATION_REDUCE(name, kind, type)                                    \
    inline type name(unsigned mask, type value, LELKERN_EMULATION_SITE) {             \
        using namespace ::lelkern::emulation;                                         \
        return static_cast<type>(reduce(Reduction::kind, mask, value, {file, line})); \
    }
LELKERN_EMULATION_REDUCE(__reduce_add_sync, add, int)
LELKERN_EMULATION_REDUCE(__reduce_add_sync, add, unsigned)
LELKERN_EMULATION_REDUCE(__reduce_min_sync, min, int)
LELKERN_EMULATION_REDUCE(__reduce_min_sync, min, unsigned)
LELKERN_EMULATION_REDUCE(__reduce_max_sync, max, int)
LELKERN_EMULATION_REDUCE(__reduce_max_sync, max, unsigned)
LELKERN_EMULATION_REDUCE(__reduce_and_sync, bit_and, unsigned)
LELKERN_EMULATION_REDUCE(__reduce_or_sync, bit_or, unsigned)
LELKERN_EMULATION_REDUCE(__reduce_xor_sync, bit_xor, unsigned)
#undef LELKERN_EMULATION_REDUCE
#undef LELKERN_EMULATION_SITE
