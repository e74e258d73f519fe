// Copies in the background, and matrices of 16-bit numbers over the lanes of a warp.
#include "cuda_emulation_instructions.h"

#include <cstring>

#include "collective.h"
#include "launch.h"
#include "memory.h"
#include "report.h"
#include "schedule.h"
#include "sites.h"

namespace lelkern::emulation {
namespace {

struct Matrices {
    uint32_t (*out)[4];
    const unsigned char* row;  // 16 bytes
    bool transposed;
    uintptr_t pc;
};

struct Product {
    float (*c)[4];
    const uint32_t (*a)[4];
    const uint32_t (*b)[2];
};

// Of what lies in a row that another lane named, a lane reads what it gets.
uint32_t read_number(Fiber& fiber, const Matrices& of, int column) {
    if (fiber.worker->launch->configuration.checked) {
        // Words, not halves: the lanes read all of each row together, so nothing else can differ.
        check(fiber, Access::read, of.row + column / 2 * 4, 4, of.pc);
    }
    uint16_t bits;
    std::memcpy(&bits, of.row + 2 * column, 2);
    return bits;
}

void finish_load(Worker& worker, int warp, unsigned lanes) {
    each_lane(lanes, [&](int lane) {
        Fiber& fiber = worker.fibers[warp * kLanes + lane];
        const Matrices& mine = payload<Matrices>(worker, warp, lane);
        const int g = lane / 4, t = 2 * (lane % 4);
        for (int m = 0; m < 4; ++m) {
            const auto row = [&](int i) -> const Matrices& {
                return payload<Matrices>(worker, warp, 8 * m + i);
            };
            const uint32_t low =
                mine.transposed ? read_number(fiber, row(t), g) : read_number(fiber, row(g), t);
            const uint32_t high = mine.transposed ? read_number(fiber, row(t + 1), g)
                                                  : read_number(fiber, row(g), t + 1);
            (*mine.out)[m] = low | high << 16;
        }
    });
}

template <typename T>
float to_float(uint32_t bits);

template <>
float to_float<__nv_bfloat16>(uint32_t bits) {
    return bits_as<float>(bits << 16);
}

template <>
float to_float<__half>(uint32_t bits) {
    static const auto table = [] {
        std::vector<float> values(1 << 16);
        for (unsigned i = 0; i < values.size(); ++i) {
            values[i] = __half2float(__ushort_as_half(static_cast<unsigned short>(i)));
        }
        return values;
    }();
    return table[bits];
}

template <typename T>
void finish_product(Worker& worker, int warp, unsigned lanes) {
    float a[16][16], b[16][8], c[16][8];
    each_lane(lanes, [&](int lane) {
        const Product& mine = payload<Product>(worker, warp, lane);
        const int g = lane / 4, t = lane % 4;
        for (int half = 0; half < 2; ++half) {
            const int shift = 16 * half, k = 2 * t + half;
            for (int i = 0; i < 4; ++i) {
                a[g + i % 2 * 8][k + i / 2 * 8] = to_float<T>((*mine.a)[i] >> shift & 0xffff);
                c[g + i / 2 * 8][2 * t + i % 2] = (*mine.c)[i];
            }
            for (int i = 0; i < 2; ++i) {
                b[k + i * 8][g] = to_float<T>((*mine.b)[i] >> shift & 0xffff);
            }
        }
    });
    for (int m = 0; m < 16; ++m) {
        for (int k = 0; k < 16; ++k) {
            for (int n = 0; n < 8; ++n) c[m][n] += a[m][k] * b[k][n];
        }
    }
    each_lane(lanes, [&](int lane) {
        const Product& mine = payload<Product>(worker, warp, lane);
        for (int i = 0; i < 4; ++i) {
            (*mine.c)[i] = c[lane / 4 + i / 2 * 8][2 * (lane % 4) + i % 2];
        }
    });
}

void check_alignment(Fiber& self, const void* address, const char* what, uintptr_t pc) {
    if (reinterpret_cast<uintptr_t>(address) % 16 == 0) return;
    report(self, Kind::alignment, static_cast<uint32_t>(pc - module_range.begin), [&] {
        return std::string(what) + " at " +
               name_address(self, reinterpret_cast<uintptr_t>(address)) +
               ", which is not aligned to 16 bytes";
    });
    stop(self);
}

bool is_shared(const Fiber& self, const void* address) {
    const auto at = reinterpret_cast<uintptr_t>(address);
    const SharedMemory& shared = self.worker->shared;
    return at - shared.fixed < shared.fixed_bytes || at - shared.dynamic < shared.dynamic_bytes;
}

void require_shared(Fiber& self, const void* address, uintptr_t pc) {
    if (is_shared(self, address)) return;
    report(self, Kind::bounds, static_cast<uint32_t>(pc - module_range.begin), [&] {
        return "needs shared memory here, not " +
               name_address(self, reinterpret_cast<uintptr_t>(address));
    });
    stop(self);
}

}  // namespace

void cp_async_16(void* to, const void* from) {
    Fiber& self = *current();
    const uintptr_t pc = reinterpret_cast<uintptr_t>(__builtin_return_address(0)) - 1;
    check_alignment(self, to, "copies to 16 bytes", pc);
    check_alignment(self, from, "copies from 16 bytes", pc);
    require_shared(self, to, pc);
    if (self.worker->launch->configuration.checked) {
        check(self, Access::read, from, 16, pc);
        check(self, Access::write, to, 16, pc);
        set_pending(self, to, 16, pc, true);
    }
    Copy copy{to, {}, pc};
    std::memcpy(copy.bytes, from, 16);
    self.copies.push_back(copy);
    // Until the copy is waited for, there may be anything.
    std::memset(to, 0xff, 16);
}

void cp_async_commit() {
    Fiber& self = *current();
    self.groups.push_back(self.copies.size());
}

void cp_async_wait(int under_way, Site site) {
    if (left_out(site)) return;
    Fiber& self = *current();
    const auto left = static_cast<std::size_t>(under_way);
    if (self.groups.size() <= left) return;
    const auto last = self.groups.end() - under_way;
    const std::size_t count = *(last - 1);
    for (std::size_t i = 0; i < count; ++i) {
        const Copy& copy = self.copies[i];
        std::memcpy(copy.to, copy.bytes, 16);
        if (self.worker->launch->configuration.checked) {
            set_pending(self, copy.to, 16, copy.pc, false);
        }
    }
    self.copies.erase(self.copies.begin(),
                      self.copies.begin() + static_cast<std::ptrdiff_t>(count));
    self.groups.erase(self.groups.begin(), last);
    for (std::size_t& group : self.groups) group -= count;
}

void ldmatrix_x4(uint32_t (&out)[4], const void* row, bool transposed, Site site) {
    Fiber& self = *current();
    const uintptr_t pc = reinterpret_cast<uintptr_t>(__builtin_return_address(0)) - 1;
    check_alignment(self, row, "loads a row", pc);
    require_shared(self, row, pc);
    Matrices mine{&out, static_cast<const unsigned char*>(row), transposed, pc};
    together(self, Together::load_matrix, ~0u, site, &mine, finish_load);
}

template <typename T>
void mma_16816(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Site site) {
    Product mine{&c, &a, &b};
    together(*current(), Together::multiply_matrices, ~0u, site, &mine, finish_product<T>);
}

template void mma_16816<__nv_bfloat16>(float (&)[4], const uint32_t (&)[4], const uint32_t (&)[2],
                                       Site);
template void mma_16816<__half>(float (&)[4], const uint32_t (&)[4], const uint32_t (&)[2], Site);

}  // namespace lelkern::emulation
