#include "memory.h"

#include <link.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstring>
#include <new>
#include <vector>

#include "launch.h"
#include "report.h"
#include "schedule.h"
#include "worker.h"

namespace lelkern::emulation {
namespace {

constexpr std::size_t kPage = std::size_t{1} << kPageShift;

std::vector<Buffer> buffers;
std::vector<int> page_buffer;  // the number of the buffer that a page belongs to
std::size_t used = 0;

struct Module {
    uintptr_t begin = 0, end = 0;
    uintptr_t thread_locals = 0, thread_local_bytes = 0;
};

int is_this_module(dl_phdr_info* info, std::size_t, void* result) {
    const auto here = reinterpret_cast<uintptr_t>(&is_this_module);
    Module module;
    module.begin = ~uintptr_t{0};
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr) & header = info->dlpi_phdr[i];
        const uintptr_t begin = info->dlpi_addr + header.p_vaddr;
        if (header.p_type == PT_LOAD) {
            if (begin < module.begin) module.begin = begin;
            if (begin + header.p_memsz > module.end) module.end = begin + header.p_memsz;
        } else if (header.p_type == PT_TLS) {
            module.thread_locals = reinterpret_cast<uintptr_t>(info->dlpi_tls_data);
            module.thread_local_bytes = header.p_memsz;
        }
    }
    if (here < module.begin || here >= module.end) return 0;
    *static_cast<Module*>(result) = module;
    return 1;
}

Module find_module() {
    Module result;
    dl_iterate_phdr(is_this_module, &result);
    return result;
}

// Touched to make the system allocate the calling thread's block, which it does on first use.
thread_local volatile char anchor = 0;

// Shadows of both kinds of shared memory lie in one piece.
uintptr_t dynamic_offset(const SharedMemory& shared) {
    return (shared.fixed_bytes + 15) & ~uintptr_t{15};
}

}  // namespace

const ModuleRange module_range = [] {
    const Module found = find_module();
    return ModuleRange{found.begin, found.end};
}();

std::size_t global_used() { return used; }

void find_thread_locals(uintptr_t& begin, uintptr_t& bytes) {
    anchor = 1;
    const Module found = find_module();
    begin = found.thread_locals;
    bytes = found.thread_local_bytes;
}

void* take_buffer(std::size_t bytes, std::size_t misaligned) {
    if (global_begin == 0) {
        void* at = mmap(nullptr, kGlobalBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) throw std::bad_alloc();
        global_begin = reinterpret_cast<uintptr_t>(at);
    }
    const std::size_t pages = (misaligned + bytes + kPage - 1) / kPage + 2;
    if (used + pages * kPage > kGlobalBytes) throw std::bad_alloc();
    const uintptr_t begin = global_begin + used + kPage + misaligned;
    std::memset(reinterpret_cast<void*>(global_begin + used), 0xff, pages * kPage);
    page_buffer.resize(used / kPage + pages, static_cast<int>(buffers.size()));
    buffers.push_back({begin, bytes});
    used += pages * kPage;
    return reinterpret_cast<void*>(begin);
}

bool give_buffers_back() {
    bool intact = true;
    uintptr_t at = global_begin;
    for (std::size_t i = 0; i <= buffers.size(); ++i) {
        const uintptr_t end = i < buffers.size() ? buffers[i].begin : global_begin + used;
        for (; at < end; ++at) intact = intact && *reinterpret_cast<unsigned char*>(at) == 0xff;
        if (i < buffers.size()) at = buffers[i].begin + buffers[i].bytes;
    }
    buffers.clear();
    page_buffer.clear();
    used = 0;
    return intact;
}

const Buffer* buffer_at(uintptr_t address) {
    const uintptr_t offset = address - global_begin;
    if (offset >= used) return nullptr;
    return &buffers[static_cast<std::size_t>(page_buffer[offset >> kPageShift])];
}

int buffer_number(const Buffer& buffer) { return static_cast<int>(&buffer - buffers.data()); }

std::string name_address(const Fiber& fiber, uintptr_t address) {
    const SharedMemory& shared = fiber.worker->shared;
    const auto relative = [address](uintptr_t begin, std::size_t bytes) {
        const auto at = static_cast<intptr_t>(address - begin);
        return "byte " + std::to_string(at) + " of the " + std::to_string(bytes) + " bytes of ";
    };
    if (address - shared.fixed < shared.fixed_bytes) {
        char text[32];
        std::snprintf(text, sizeof text, "{shared %zx}", address - shared.fixed);
        return text;
    }
    const uintptr_t near = address - shared.dynamic + kPage;
    if (near < shared.dynamic_bytes + 2 * kPage) {
        return relative(shared.dynamic, shared.dynamic_bytes) + "dynamic shared memory";
    }
    if (const Buffer* buffer = buffer_at(address)) {
        return relative(buffer->begin, buffer->bytes) + "global buffer " +
               std::to_string(buffer_number(*buffer));
    }
    if (address - stacks < kStackBytes * kThreads * kWorkers)
        return "another thread's local memory";
    if (address - module_range.begin < module_range.end - module_range.begin) return "a constant";
    return "memory that is in no buffer";
}

void set_pending(Fiber& fiber, const void* to, unsigned bytes, uintptr_t pc, bool is) {
    const auto address = reinterpret_cast<uintptr_t>(to);
    const SharedMemory& shared = fiber.worker->shared;
    const uintptr_t offset = address - shared.dynamic < shared.dynamic_bytes
                                 ? address - shared.dynamic + dynamic_offset(shared)
                                 : address - shared.fixed;
    fiber.worker->shadow.pending(fiber, offset, bytes, pc, is);
}

void check(Fiber& fiber, Access access, const void* to, unsigned bytes, uintptr_t pc) {
    const auto address = reinterpret_cast<uintptr_t>(to);
    Worker& worker = *fiber.worker;
    const SharedMemory& shared = worker.shared;
    if (uintptr_t offset = address - shared.dynamic; offset < shared.dynamic_bytes) {
        if (offset + bytes <= shared.dynamic_bytes) {
            offset += dynamic_offset(shared);
            worker.shadow.access(fiber, access, Memory::shared, offset, bytes, pc, address);
            return;
        }
    } else if (offset = address - shared.fixed; offset < shared.fixed_bytes) {
        if (offset + bytes <= shared.fixed_bytes) {
            worker.shadow.access(fiber, access, Memory::shared, offset, bytes, pc, address);
            return;
        }
    } else if (const Buffer* buffer = buffer_at(address)) {
        if (address >= buffer->begin && address + bytes <= buffer->begin + buffer->bytes) {
            worker.shadow.access(fiber, access, Memory::global, address - global_begin, bytes, pc,
                                 address);
            return;
        }
    } else if (address - module_range.begin < module_range.end - module_range.begin) {
        if (access == Access::read) return;
    } else if (address - stack_of(fiber) < kStackBytes) {
        return;
    }
    report(fiber, Kind::bounds, static_cast<uint32_t>(pc - module_range.begin), [&] {
        return std::string(access == Access::read ? "reads " : "writes ") + std::to_string(bytes) +
               " bytes at " + name_address(fiber, address);
    });
    stop(fiber);
}

}  // namespace lelkern::emulation
