// What is known about every word of memory: who wrote and who read it last.
//
// Two accesses to a byte by different threads, one of them a write and not both atomic, need an
// order between them: a __syncthreads of their block, or a __syncwarp of both lanes. Time is an
// epoch that begins with every block and with every barrier of a block, and never goes back, so
// memory of an older launch or block is told by its epoch and nothing is ever cleared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

namespace lelkern::emulation {

struct Fiber;

// What __syncwarp ordered among the lanes of a warp since the last barrier of the block.
struct Lanes {
    uint32_t now = 1;        // goes up with every __syncwarp
    uint32_t all = 0;        // what happened before this, every lane knows
    bool some = false;       // whether `known` tells more
    uint32_t known[32][32];  // [who][of whom]

    void reset() {
        now = 1;
        all = 0;
        some = false;
    }
    void sync(unsigned lanes, unsigned live);
    bool knows(int who, int of_whom, uint32_t when) const {
        return when < all || (some && when < known[who][of_whom]);
    }
};

// A word of four bytes, or one byte of a word that was accessed in parts.
struct Cell {
    uint32_t write_epoch;
    uint32_t write_when : 20, write_thread : 10, write_atomic : 1, write_pending : 1;
    uint32_t write_pc;
    uint32_t read_epoch;
    uint32_t read_when : 20, read_warp : 5, read_warps : 1, write_threads : 1, : 5;  // ..s: several
    uint32_t read_lanes;
    uint32_t read_pc;
    uint16_t other_reads,
        other_writes;  // the launch in which other blocks read, or wrote atomically
};

// The four bytes of a word, apart.
struct Parts {
    Cell cell[4];
};

enum class Access { read, write, atomic };

// Kinds of memory, which differ in what is a fault.
enum class Memory { shared, global };

class Shadow {
  public:
    Shadow();
    ~Shadow();
    Shadow(const Shadow&) = delete;
    Shadow& operator=(const Shadow&) = delete;

    void begin_launch();
    void begin_block(uint64_t block, std::size_t shared_bytes);
    void barrier() { ++epoch_; }

    // An access by the fiber to bytes of shared or global memory, at an offset into it.
    void access(Fiber& fiber, Access access, Memory memory, uintptr_t offset, unsigned bytes,
                uintptr_t pc, uintptr_t address);

    // Bytes that cp.async writes, from when it is issued to when it was waited for.
    void pending(Fiber& fiber, uintptr_t offset, unsigned bytes, uintptr_t pc, bool is);

    // What this worker's blocks did to a word of global memory in this launch.
    struct Summary {
        bool read, write, atomic;
        uint32_t pc, thread;  // of the last write, else of a read
    };
    Summary summary(uintptr_t offset) const;
    bool is_split(uintptr_t offset) const;
    bool wrote_page(std::size_t page) const { return written_[page] == launch_; }

  private:
    Cell* cells(Memory memory) { return memory == Memory::shared ? shared_ : global_; }
    void one(Fiber& fiber, Access access, Memory memory, Cell& cell, uint32_t pc,
             uintptr_t address);
    void read(Fiber& fiber, Memory memory, Cell& cell, uint32_t pc, uintptr_t address);
    void write(Fiber& fiber, Memory memory, Cell& cell, bool atomic, uint32_t pc,
               uintptr_t address);
    bool is_plain_read(const Fiber& fiber, Memory memory, Cell& cell);
    bool write_known(const Fiber& fiber, const Cell& cell) const;
    bool reads_known(const Fiber& fiber, const Cell& cell) const;
    Cell* split(Cell& cell);
    // A word becomes one again, when a write of all of it was ordered after all else.
    void join(Cell& cell);
    uint64_t block_of(uint32_t epoch) const;

    Cell* shared_ = nullptr;
    std::size_t shared_cells_ = 0;
    Cell* global_ = nullptr;
    uint32_t epoch_ = 1, block_epoch_ = 1, launch_epoch_ = 1;
    uint16_t launch_ = 0;
    std::deque<Parts> parts_;  // of the words that are split
    std::deque<uint32_t> free_parts_;
    std::vector<uint16_t>
        written_;  // of each page of global memory, the launch that wrote to it last
    std::map<uint32_t, uint64_t> blocks_;  // the epoch at which each block of this launch began
};

}  // namespace lelkern::emulation
