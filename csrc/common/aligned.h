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

template <typename T>
class Aligned {
  public:
    Aligned() = default;
    explicit Aligned(int64_t size) {
        if (size == 0) return;
        // From 32 MiB on glibc takes fresh pages from the system each time.
        constexpr std::size_t line = 64, huge = 2 << 20, fresh = 32 << 20;
        const std::size_t wanted = size * sizeof(T);
        const std::size_t alignment = wanted < fresh ? line : huge;
        const std::size_t bytes = (wanted + alignment - 1) / alignment * alignment;
        at_.reset(static_cast<T*>(std::aligned_alloc(alignment, bytes)));
        if (!at_) throw std::bad_alloc();
#if defined(__linux__)
        // Saves 511 of 512 page faults, which cost more than filling the pages.
        if (alignment == huge) madvise(at_.get(), bytes, MADV_HUGEPAGE);
#endif
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
