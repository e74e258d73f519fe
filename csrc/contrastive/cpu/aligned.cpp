#include "contrastive/cpu/aligned.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#include "shared/cpu/large_results.h"

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
