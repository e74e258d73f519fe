#include "contrastive/cpu/aligned.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace lelkern::contrastive {
namespace {

constexpr std::size_t kLine = 64, kHugePage = 2 << 20;

struct Buffer {
    void* at;
    std::size_t bytes;
};

// The oldest first. Never destroyed: threads may outlive what the process tears down.
struct Pool {
    std::mutex mutex;
    std::vector<Buffer> buffers;
    std::size_t bytes = 0;
};

Pool& pool() {
    static Pool& only = *new Pool;
    return only;
}

// Asks for large pages in [at, at + bytes): memory that is fresh from the system costs a page fault
// every 4 KiB otherwise, which for a matrix takes longer than to fill it.
void advise_huge_pages(void* at, std::size_t bytes) {
#if defined(__linux__)
    const auto begin = reinterpret_cast<std::uintptr_t>(at), end = begin + bytes;
    const auto first = (begin + kHugePage - 1) / kHugePage * kHugePage;
    const auto last = end / kHugePage * kHugePage;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
    (void)at, (void)bytes;
#endif
}

}  // namespace

void* take_buffer(std::size_t& bytes) {
    const std::size_t alignment = bytes < kHugePage ? kLine : kHugePage;
    bytes = (bytes + alignment - 1) / alignment * alignment;
    {
        Pool& from = pool();
        const std::lock_guard lock(from.mutex);
        // The smallest that is large enough, but no giant for a dwarf.
        auto best = from.buffers.end();
        for (auto it = from.buffers.begin(); it != from.buffers.end(); ++it) {
            const bool fits = it->bytes >= bytes && it->bytes / 2 <= bytes;
            if (fits && (best == from.buffers.end() || it->bytes <= best->bytes)) best = it;
        }
        if (best != from.buffers.end()) {
            const Buffer found = *best;
            from.buffers.erase(best);
            from.bytes -= found.bytes;
            bytes = found.bytes;
            return found.at;
        }
    }
    void* at = std::aligned_alloc(alignment, bytes);
    if (at == nullptr) throw std::bad_alloc();
    advise_huge_pages(at, bytes);
    return at;
}

void give_buffer(void* at, std::size_t bytes) noexcept {
#if !defined(__SANITIZE_ADDRESS__)  // which looks for accesses to memory that was given back
    if (bytes <= kPooledBytes) {
        Pool& to = pool();
        const std::lock_guard lock(to.mutex);
        while (to.bytes + bytes > kPooledBytes) {
            std::free(to.buffers.front().at);
            to.bytes -= to.buffers.front().bytes;
            to.buffers.erase(to.buffers.begin());
        }
        to.buffers.push_back({at, bytes});
        to.bytes += bytes;
        return;
    }
#else
    (void)bytes;
#endif
    std::free(at);
}

}  // namespace lelkern::contrastive
