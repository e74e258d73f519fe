#include "shadow.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "memory.h"
#include "report.h"
#include "worker.h"

namespace lelkern::emulation {
namespace {

constexpr uint32_t kSplit = ~0u;  // the epoch of a word whose bytes are told apart
constexpr std::size_t kGlobalCells = kGlobalBytes / 4;

Cell* reserve(std::size_t cells) {
    void* at = mmap(nullptr, cells * sizeof(Cell), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    return static_cast<Cell*>(at);
}

}  // namespace

void Lanes::sync(unsigned lanes, unsigned live) {
    ++now;
    if (lanes == live) {
        all = now;
        some = false;
        return;
    }
    if (!some) {
        for (auto& row : known) std::fill(std::begin(row), std::end(row), all);
        some = true;
    }
    // Everyone learns what any of them knew, and what each did until now.
    uint32_t joined[32];
    for (int of = 0; of < 32; ++of) {
        joined[of] = lanes >> of & 1 ? now : 0;
        for (int who = 0; who < 32; ++who) {
            if (lanes >> who & 1) joined[of] = std::max(joined[of], known[who][of]);
        }
    }
    for (int who = 0; who < 32; ++who) {
        if (lanes >> who & 1) std::copy(std::begin(joined), std::end(joined), known[who]);
    }
}

Shadow::Shadow() : global_(reserve(kGlobalCells)), written_(kGlobalBytes >> kPageShift) {}

Shadow::~Shadow() {
    munmap(global_, kGlobalCells * sizeof(Cell));
    if (shared_ != nullptr) munmap(shared_, shared_cells_ * sizeof(Cell));
}

void Shadow::begin_launch() {
    launch_epoch_ = ++epoch_;
    if (++launch_ == 0) launch_ = 1;  // 0 is what cells begin with
    blocks_.clear();
}

void Shadow::begin_block(uint64_t block, std::size_t shared_bytes) {
    block_epoch_ = ++epoch_;
    blocks_[epoch_] = block;
    const std::size_t needed = (shared_bytes + 3) / 4;
    if (needed <= shared_cells_) return;
    if (shared_ != nullptr) munmap(shared_, shared_cells_ * sizeof(Cell));
    shared_ = reserve(needed);
    shared_cells_ = needed;
}

uint64_t Shadow::block_of(uint32_t epoch) const {
    const auto after = blocks_.upper_bound(epoch);
    return after == blocks_.begin() ? 0 : std::prev(after)->second;
}

// A split word keeps the number of its parts where the last write's place was.
Cell* Shadow::split(Cell& cell) {
    if (cell.write_epoch != kSplit) {
        uint32_t at;
        if (free_parts_.empty()) {
            at = static_cast<uint32_t>(parts_.size());
            parts_.emplace_back();
        } else {
            at = free_parts_.back();
            free_parts_.pop_back();
        }
        for (Cell& part : parts_[at].cell) part = cell;
        cell.write_epoch = kSplit;
        cell.write_pc = at;
    }
    return parts_[cell.write_pc].cell;
}

void Shadow::join(Cell& cell) {
    const uint32_t at = cell.write_pc;
    cell = parts_[at].cell[0];
    for (const Cell& part : parts_[at].cell) {
        if (part.other_reads == launch_) cell.other_reads = launch_;
        if (part.other_writes == launch_) cell.other_writes = launch_;
    }
    free_parts_.push_back(at);
}

bool Shadow::write_known(const Fiber& fiber, const Cell& cell) const {
    if (cell.write_epoch < block_epoch_) return false;
    if (cell.write_epoch < epoch_) return true;
    if (cell.write_threads) return false;
    if (cell.write_thread == static_cast<unsigned>(fiber.index)) return true;
    if (static_cast<int>(cell.write_thread) / kLanes != fiber.warp) return false;
    return fiber.worker->warp[fiber.warp].order.knows(fiber.lane, cell.write_thread % kLanes,
                                                      cell.write_when);
}

bool Shadow::reads_known(const Fiber& fiber, const Cell& cell) const {
    if (cell.read_epoch < block_epoch_) return false;
    if (cell.read_epoch < epoch_) return true;
    if (cell.read_warps || static_cast<int>(cell.read_warp) != fiber.warp) return false;
    const Lanes& order = fiber.worker->warp[fiber.warp].order;
    const unsigned others = cell.read_lanes & ~(1u << fiber.lane);
    if (others == 0 || cell.read_when < order.all) return true;
    if (cell.read_when == order.now) return false;
    for (unsigned left = others; left != 0; left &= left - 1) {
        if (!order.knows(fiber.lane, __builtin_ctz(left), cell.read_when)) return false;
    }
    return true;
}

void Shadow::read(Fiber& fiber, Memory memory, Cell& cell, uint32_t pc, uintptr_t address) {
    const uint32_t floor = memory == Memory::shared ? block_epoch_ : launch_epoch_;
    if (memory == Memory::shared && cell.write_epoch < block_epoch_) {
        report(fiber, Kind::uninitialized, pc, [&] {
            return "reads " + name_address(fiber, address) + ", which nobody of the block wrote";
        });
    } else if (cell.write_epoch >= floor) {
        if (cell.write_pending) {
            report(fiber, Kind::pending, pc, [&] {
                return "reads " + name_address(fiber, address) +
                       " before cp_async_wait for the copy at " + place(cell.write_pc);
            });
        } else if (!write_known(fiber, cell)) {
            report(fiber, Kind::race, pc, [&] {
                return "reads " + name_address(fiber, address) + " unordered with the " +
                       (cell.write_atomic ? "atomic " : "") + "write of " +
                       thread_of(fiber, cell.write_thread, block_of(cell.write_epoch)) + " at " +
                       place(cell.write_pc);
            });
        } else if (cell.other_writes == launch_) {
            report(fiber, Kind::race, pc, [&] {
                return "reads " + name_address(fiber, address) + ", which other blocks write";
            });
        }
    }
    const auto now = fiber.worker->warp[fiber.warp].order.now;
    const unsigned lane = 1u << fiber.lane;
    if (cell.read_epoch == epoch_) {
        if (static_cast<int>(cell.read_warp) != fiber.warp) {
            cell.read_warps = 1;
        } else if (!cell.read_warps && reads_known(fiber, cell)) {
            cell.read_lanes = lane;
        } else {
            cell.read_lanes |= lane;
        }
    } else {
        if (cell.read_epoch >= floor && cell.read_epoch < block_epoch_) cell.other_reads = launch_;
        cell.read_epoch = epoch_;
        cell.read_warp = static_cast<unsigned>(fiber.warp);
        cell.read_warps = 0;
        cell.read_lanes = lane;
    }
    cell.read_when = now;
    cell.read_pc = pc;
}

void Shadow::write(Fiber& fiber, Memory memory, Cell& cell, bool atomic, uint32_t pc,
                   uintptr_t address) {
    const uint32_t floor = memory == Memory::shared ? block_epoch_ : launch_epoch_;
    const char* writes = atomic ? "atomically writes " : "writes ";
    const bool wrote = cell.write_epoch >= floor;
    if (atomic && memory == Memory::shared && cell.write_epoch < block_epoch_) {
        report(fiber, Kind::uninitialized, pc, [&] {
            return "adds to " + name_address(fiber, address) + ", which nobody of the block wrote";
        });
    }
    if (wrote && cell.write_pending) {
        report(fiber, Kind::pending, pc, [&] {
            return writes + name_address(fiber, address) +
                   " before cp_async_wait for the copy at " + place(cell.write_pc);
        });
    } else if (wrote && !(atomic && cell.write_atomic) && !write_known(fiber, cell)) {
        report(fiber, Kind::race, pc, [&] {
            return writes + name_address(fiber, address) + " unordered with the " +
                   (cell.write_atomic ? "atomic " : "") + "write of " +
                   thread_of(fiber, cell.write_thread, block_of(cell.write_epoch)) + " at " +
                   place(cell.write_pc);
        });
    } else if (cell.read_epoch >= floor && !reads_known(fiber, cell)) {
        const std::string who = cell.read_epoch < block_epoch_
                                    ? "block " + name_block(fiber, block_of(cell.read_epoch))
                                    : (cell.read_warps ? std::string("other warps")
                                                       : "warp " + std::to_string(cell.read_warp));
        report(fiber, Kind::race, pc, [&] {
            return writes + name_address(fiber, address) + " unordered with the read of " + who +
                   " at " + place(cell.read_pc);
        });
    } else if (cell.other_reads == launch_ || (cell.other_writes == launch_ && !atomic)) {
        report(fiber, Kind::race, pc, [&] {
            return writes + name_address(fiber, address) + ", which other blocks " +
                   (cell.other_reads == launch_ ? "read" : "write");
        });
    }
    if (wrote && cell.write_epoch < block_epoch_) cell.other_writes = launch_;
    cell.write_threads =
        atomic && cell.write_atomic && cell.write_epoch == epoch_ &&
        (cell.write_threads || cell.write_thread != static_cast<unsigned>(fiber.index));
    cell.write_epoch = epoch_;
    cell.write_when = fiber.worker->warp[fiber.warp].order.now;
    cell.write_thread = static_cast<unsigned>(fiber.index);
    cell.write_atomic = atomic;
    cell.write_pending = 0;
    cell.write_pc = pc;
}

// Most reads are of a word whose write a barrier ordered, beside others of the same warp or after
// those of other warps: nothing is wrong with them, and little is to be noted.
inline bool Shadow::is_plain_read(const Fiber& fiber, Memory memory, Cell& cell) {
    const bool ordered = cell.write_epoch >= block_epoch_
                             ? cell.write_epoch < epoch_ && !cell.write_pending
                             : memory == Memory::global && cell.write_epoch < launch_epoch_;
    if (!ordered || cell.other_writes == launch_ || cell.read_epoch != epoch_) return false;
    if (cell.read_warps) return true;
    if (static_cast<int>(cell.read_warp) != fiber.warp ||
        cell.read_when != fiber.worker->warp[fiber.warp].order.now) {
        return false;
    }
    cell.read_lanes |= 1u << fiber.lane;
    return true;
}

inline void Shadow::one(Fiber& fiber, Access access, Memory memory, Cell& cell, uint32_t pc,
                        uintptr_t address) {
    if (access == Access::read) {
        read(fiber, memory, cell, pc, address);
    } else {
        write(fiber, memory, cell, access == Access::atomic, pc, address);
    }
}

void Shadow::access(Fiber& fiber, Access access, Memory memory, uintptr_t offset, unsigned bytes,
                    uintptr_t pc, uintptr_t address) {
    const auto from = static_cast<uint32_t>(pc - module_range.begin);
    Cell* const all = cells(memory);
    if (memory == Memory::global && access != Access::read) {
        written_[offset >> kPageShift] = written_[(offset + bytes - 1) >> kPageShift] = launch_;
    }
    const uintptr_t end = offset + bytes;
    while (offset < end) {
        Cell& cell = all[offset / 4];
        const bool whole = offset % 4 == 0 && offset + 4 <= end;
        if (whole && cell.write_epoch != kSplit) {
            if (access != Access::read || !is_plain_read(fiber, memory, cell)) {
                one(fiber, access, memory, cell, from, address);
            }
            offset += 4;
            address += 4;
            continue;
        }
        Cell* const parts = split(cell);
        do {
            one(fiber, access, memory, parts[offset % 4], from, address);
            ++offset;
            ++address;
        } while (offset % 4 != 0 && offset < end);
        // Then its bytes are alike but for who read them, all of whom the writer knows.
        if (whole && access != Access::read) join(cell);
    }
}

void Shadow::pending(Fiber& fiber, uintptr_t offset, unsigned bytes, uintptr_t pc, bool is) {
    const auto from = static_cast<uint32_t>(pc - module_range.begin);
    for (uintptr_t end = offset + bytes; offset < end; offset += 4) {
        Cell& cell = shared_[offset / 4];
        if (cell.write_epoch == kSplit) join(cell);
        cell.write_epoch = epoch_;
        cell.write_when = fiber.worker->warp[fiber.warp].order.now;
        cell.write_thread = static_cast<unsigned>(fiber.index);
        cell.write_threads = 0;
        cell.write_atomic = 0;
        cell.write_pending = is;
        cell.write_pc = from;
    }
}

bool Shadow::is_split(uintptr_t offset) const { return global_[offset / 4].write_epoch == kSplit; }

Shadow::Summary Shadow::summary(uintptr_t offset) const {
    const Cell& word = global_[offset / 4];
    const Cell& cell = word.write_epoch == kSplit ? parts_[word.write_pc].cell[offset % 4] : word;
    const bool wrote = cell.write_epoch >= launch_epoch_;
    return {cell.read_epoch >= launch_epoch_ || cell.other_reads == launch_, wrote,
            wrote && cell.write_atomic, wrote ? cell.write_pc : cell.read_pc, cell.write_thread};
}

}  // namespace lelkern::emulation
