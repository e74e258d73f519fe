// Memory for vectors: aligned to cache lines, and left as it comes.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace lelkern {

constexpr std::size_t kHugePage = 2 << 20;

// Asks for large pages in [at, at + bytes): memory that is fresh from the system costs a page fault
// every 4 KiB otherwise, which for a matrix takes longer than to fill it.
inline void advise_huge_pages(void* at, std::size_t bytes) {
#if defined(__linux__)
    const auto begin = reinterpret_cast<std::uintptr_t>(at), end = begin + bytes;
    const auto first = (begin + kHugePage - 1) / kHugePage * kHugePage;
    const auto last = end / kHugePage * kHugePage;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
    (void)at, (void)bytes;
#endif
}

template <typename T>
class Aligned {
  public:
    Aligned() = default;
    explicit Aligned(int64_t size) {
        if (size == 0) return;
        constexpr std::size_t line = 64;
        const std::size_t wanted = size * sizeof(T);
        const std::size_t alignment = wanted < kHugePage ? line : kHugePage;
        const std::size_t bytes = (wanted + alignment - 1) / alignment * alignment;
        at_.reset(static_cast<T*>(std::aligned_alloc(alignment, bytes)));
        if (!at_) throw std::bad_alloc();
        advise_huge_pages(at_.get(), bytes);
    }

    T* get() const { return at_.get(); }
    T& operator[](int64_t i) const { return at_.get()[i]; }

  private:
    struct Free {
        void operator()(T* at) const { std::free(at); }
    };
    std::unique_ptr<T[], Free> at_;
};

}  // namespace lelkern
