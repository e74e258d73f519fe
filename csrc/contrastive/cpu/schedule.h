// Who works when on a matrix of blocks, where a task adds to what belongs to its row of blocks and
// to what belongs to its column.
//
// Tasks come in rounds, in each of which a unit (a row or a column of blocks) has at most one task.
// A task waits until its two units have done all their earlier tasks. So no two tasks add to the
// same memory at once, and every unit adds in an order that depends on nothing but the number of
// blocks: results have the same bits for any number of threads.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

namespace lelkern::contrastive {

struct Task {
    int64_t row, column;                // of blocks; row < 0: nothing to do
    int64_t row_unit, column_unit;      // column_unit < 0: a task of one unit
    int64_t row_before, column_before;  // how many tasks of the units come first
};

// Every pair of blocks row <= column of a symmetric matrix once: the diagonal, then a round-robin
// tournament by the circle method.
class SymmetricSchedule {
  public:
    explicit SymmetricSchedule(int64_t blocks) : blocks_(blocks), players_(blocks + blocks % 2) {}

    int64_t units() const { return blocks_; }

    int64_t tasks() const { return blocks_ + (players_ - 1) * (players_ / 2) * (blocks_ > 1); }

    Task task(int64_t t) const {
        if (t < blocks_) return {t, t, t, -1, 0, 0};
        const int64_t round = (t - blocks_) / (players_ / 2), k = (t - blocks_) % (players_ / 2);
        const int64_t circle = players_ - 1;
        const int64_t a = (round + k) % circle;
        const int64_t b = k == 0 ? circle : (round - k + circle) % circle;
        if (b >= blocks_) return {-1, -1, a, -1, 1 + round, 0};  // nobody to play with
        const auto [i, j] = std::minmax(a, b);
        return {i, j, i, j, 1 + round, 1 + round};
    }

  private:
    int64_t blocks_, players_;
};

// Every block of a matrix once. Where there are few rows, several replicas of each row share the
// columns among them; `row_unit` tells them apart.
class RectangularSchedule {
  public:
    RectangularSchedule(int64_t rows, int64_t columns)
        : rows_(rows),
          columns_(columns),
          replicas_(std::max<int64_t>(1, std::min(kConcurrent / rows, columns / rows))),
          share_((columns + replicas_ - 1) / replicas_),
          rounds_(std::max(rows_, share_)),
          size_(std::min(rows_, share_)) {}

    int64_t replicas() const { return replicas_; }

    int64_t units() const { return replicas_ * (rows_ + share_); }

    int64_t tasks() const { return rounds_ * replicas_ * size_; }

    Task task(int64_t t) const {
        const int64_t round = t / (replicas_ * size_), k = t % size_;
        const int64_t replica = t / size_ % replicas_;
        const bool wide = rows_ <= share_;
        const int64_t i = wide ? k : (k + round) % rows_, j = wide ? (k + round) % share_ : k;
        const int64_t column = replica * share_ + j;
        const int64_t always = round, sometimes = wide ? before(j, round, rows_, share_)
                                                       : before(i, round, share_, rows_);
        return {column < columns_ ? i : -1, column,
                replica * rows_ + i,        replicas_ * rows_ + column,
                wide ? always : sometimes,  wide ? sometimes : always};
    }

  private:
    static constexpr int64_t kConcurrent = 16;  // tasks at once that are worth a replica

    // In round r the few units f = 0, 1, ... have the unit (f + r) mod many of the many ones: how
    // many tasks has unit u of the many had before round r?
    static int64_t before(int64_t u, int64_t round, int64_t few, int64_t many) {
        // f = u - r' (mod many) for r' = 0, ..., round - 1: down from u, then down from many - 1.
        const int64_t first = std::min(u + 1, few) - std::max<int64_t>(0, u + 1 - round);
        const int64_t around = few - (many - std::max<int64_t>(0, round - u - 1));
        return std::max<int64_t>(0, first) + std::max<int64_t>(0, around);
    }

    int64_t rows_, columns_, replicas_, share_, rounds_, size_;
};

// How many threads run() is worth.
template <typename Schedule>
int64_t workers(const Schedule& schedule) {
    return std::min(static_cast<int64_t>(torch::stable::get_num_threads()), schedule.tasks());
}

// Calls work(worker, t, task) for every task t, with the number of a worker that does one task at a
// time. `work` must not throw: others would wait for its task.
template <typename Schedule, typename Work>
void run(const Schedule& schedule, int64_t workers, const Work& work) {
    const int64_t tasks = schedule.tasks();
    // A cache line each, so that a thread that waits does not disturb one that works.
    struct alignas(64) Count {
        std::atomic<int64_t> value{0};
    };
    const std::unique_ptr<Count[]> done(new Count[schedule.units()]);
    std::atomic<int64_t> next{0};
    const auto wait = [&](int64_t unit, int64_t before) {
        // Tasks are handed out in order, and the first one unfinished never waits: no deadlock.
        int spins = 0;
        while (done[unit].value.load(std::memory_order_acquire) < before) {
            if (++spins == 4096) {
                std::this_thread::yield();
                spins = 0;
            }
        }
    };
    const auto finish = [&](int64_t unit) {
        done[unit].value.fetch_add(1, std::memory_order_release);
    };
    torch::stable::parallel_for(0, workers, 1, [&](int64_t begin, int64_t end) {
        // Where PyTorch gives one thread the shares of several, the first of them does it all.
        for (int64_t worker = begin; worker < end; ++worker) {
            for (int64_t t; (t = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
                const Task task = schedule.task(t);
                wait(task.row_unit, task.row_before);
                if (task.column_unit >= 0) wait(task.column_unit, task.column_before);
                if (task.row >= 0) work(worker, t, task);
                finish(task.row_unit);
                if (task.column_unit >= 0) finish(task.column_unit);
            }
        }
    });
}

}  // namespace lelkern::contrastive
