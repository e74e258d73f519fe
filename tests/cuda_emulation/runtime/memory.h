// The memory that kernels may touch: buffers in global memory, and what the module holds itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "shadow.h"

namespace lelkern::emulation {

constexpr std::size_t kGlobalBytes = std::size_t{1} << 30;
constexpr std::size_t kPageShift = 12;  // every buffer has pages of its own, and one around it

struct Buffer {
    uintptr_t begin;
    std::size_t bytes;
};

// A buffer that begins `misaligned` bytes behind a multiple of 4096, surrounded by NaN.
void* take_buffer(std::size_t bytes, std::size_t misaligned);

// All buffers go. Returns whether the memory around each was as it should be.
bool give_buffers_back();

// The buffer an address lies in or next to, or null.
const Buffer* buffer_at(uintptr_t address);
int buffer_number(const Buffer& buffer);

inline uintptr_t global_begin = 0;

// All buffers lie within this many bytes of global_begin.
std::size_t global_used();

// The module that this is part of: where its code and constants lie.
struct ModuleRange {
    uintptr_t begin, end;
};
extern const ModuleRange module_range;

// Where the calling thread's copies of the module's thread_local variables lie.
void find_thread_locals(uintptr_t& begin, uintptr_t& bytes);

// "shared memory at byte 12", "byte 4 of global buffer 2" or the like.
std::string name_address(const Fiber& fiber, uintptr_t address);

// Checks an access of a kernel, if it is one to check, and stops where it is out of bounds.
void check(Fiber& fiber, Access access, const void* address, unsigned bytes, uintptr_t pc);

// Marks bytes of shared memory as on their way by cp.async, or as there.
void set_pending(Fiber& fiber, const void* address, unsigned bytes, uintptr_t pc, bool is);

}  // namespace lelkern::emulation
