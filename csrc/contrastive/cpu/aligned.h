// Memory for vectors: aligned to cache lines, and left as it comes.
#pragma once

#include <cstdint>
#include <memory>

namespace lelkern::contrastive {

// A buffer of at least so many bytes, which are rounded up to what it has; throws std::bad_alloc.
void* take_buffer(std::size_t& bytes);

// Takes it back. Up to kPooledBytes stay with the process for the next call, the latest first: the
// system clears every page that it hands out, which takes longer than to read it.
void give_buffer(void* at, std::size_t bytes) noexcept;

constexpr std::size_t kPooledBytes = 56 << 20;

template <typename T>
class Aligned {
  public:
    Aligned() = default;
    explicit Aligned(int64_t size) {
        if (size == 0) return;
        std::size_t bytes = size * sizeof(T);
        T* at = static_cast<T*>(take_buffer(bytes));
        at_ = {at, GiveBack{bytes}};
    }

    T* get() const { return at_.get(); }
    T& operator[](int64_t i) const { return at_.get()[i]; }

  private:
    struct GiveBack {
        std::size_t bytes = 0;
        void operator()(T* at) const { give_buffer(at, bytes); }
    };
    std::unique_ptr<T[], GiveBack> at_;
};

}  // namespace lelkern::contrastive
