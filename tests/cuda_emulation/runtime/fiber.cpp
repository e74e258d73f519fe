#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <mutex>
#include <new>

namespace lelkern::emulation {

uintptr_t stacks = 0;
Fiber* fibers = nullptr;

// The registers that a function must preserve go to the stack, and come back from the other one.
#if defined(__x86_64__)
asm(R"(
.text
.globl lelkern_emulation_switch
.hidden lelkern_emulation_switch
.type lelkern_emulation_switch, @function
lelkern_emulation_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size lelkern_emulation_switch, . - lelkern_emulation_switch
)");
constexpr int kReturnWord = 6;  // where that address lies
constexpr int kFrameWords = 8;  // all of it, so that the stack is aligned as after a call
#elif defined(__aarch64__)
asm(R"(
.text
.globl lelkern_emulation_switch
.hidden lelkern_emulation_switch
.type lelkern_emulation_switch, %function
lelkern_emulation_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x2, sp
    str x2, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size lelkern_emulation_switch, . - lelkern_emulation_switch
)");
constexpr int kReturnWord = 11;  // x30
constexpr int kFrameWords = 20;
#else
#error "No context switch for this processor"
#endif

void make_stacks() {
    static std::once_flag once;
    std::call_once(once, [] {
        const std::size_t bytes = kStackBytes * kThreads * kWorkers;
        const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        // One more, to begin at a multiple of a stack's size.
        void* at = mmap(nullptr, bytes + kStackBytes, PROT_NONE, flags, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        stacks = (reinterpret_cast<uintptr_t>(at) + kStackBytes - 1) & ~(kStackBytes - 1);
        fibers = new Fiber[kThreads * kWorkers]();
    });
}

void prepare(Fiber& fiber, void (*entry)()) {
    const uintptr_t bottom = stack_of(fiber);
    if (fiber.stack_pointer == nullptr) {
        // The lowest page stays closed: a stack that overflows faults there.
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        if (mprotect(reinterpret_cast<void*>(bottom + page), kStackBytes - page,
                     PROT_READ | PROT_WRITE) != 0) {
            throw std::bad_alloc();
        }
    }
    // Stacks a power of two apart would share few sets of the cache: begin each elsewhere.
    const uintptr_t top = bottom + kStackBytes - static_cast<uintptr_t>(fiber.index % 31) * 128;
    auto* frame = reinterpret_cast<uintptr_t*>(top) - kFrameWords;
    for (int i = 0; i < kFrameWords; ++i) frame[i] = 0;
    frame[kReturnWord] = reinterpret_cast<uintptr_t>(entry);
    fiber.stack_pointer = frame;
}

}  // namespace lelkern::emulation
