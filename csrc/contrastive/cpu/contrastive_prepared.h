// What the kernels of every loss begin with: rows packed for the tiles, and who works on which.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "contrastive/common/contrastive_op.h"
#include "contrastive/cpu/aligned.h"
#include "contrastive/cpu/contrastive.h"
#include "contrastive/cpu/contrastive_rows.h"
#include "contrastive/cpu/schedule.h"

namespace lelkern::contrastive {

// Small blocks where there are few rows, so that threads have something to share.
inline int64_t block_of(int64_t rows) { return rows <= 1024 ? kMaxBlock / 2 : kMaxBlock; }

// Rows packed for the tiles, and the order of their tasks.
template <typename T>
class Prepared {
  public:
    Prepared(const Comparison& loss, bool for_backward)
        : tiles(kernels<T>(loss.bf16_terms == 1)),
          rows(loss.rows),
          columns(loss.columns.empty() ? loss.rows : loss.columns),
          problem{},
          normalize_(loss.normalize) {
        problem.D = rows.D();
        problem.words = (problem.D + tiles.bf16) / (1 + tiles.bf16);
        problem.padded_D = round_up(problem.D, 64 / sizeof(T));
        // An odd number of cache lines, so that rows spread over all sets of the cache.
        problem.stride =
            problem.padded_D + 64 / sizeof(T) * (problem.padded_D * sizeof(T) / 64 % 2 == 0);
        problem.block = block_of(rows.count());
        problem.self = loss.columns.empty();
        problem.both = loss.both;
        problem.positives = loss.positives;
        problem.pairs = rows.count() / 2;
        packed_rows_.emplace_back(tiles, rows, problem, loss.normalize, for_backward);
        if (!problem.self) {
            packed_rows_.emplace_back(tiles, columns, problem, loss.normalize, for_backward);
        }
        problem.rows = packed_rows_.front().side;
        problem.columns = packed_rows_.back().side;
        // Large tasks where there are enough of them for every thread all the same.
        const int64_t blocks = std::min(problem.rows.blocks, problem.columns.blocks);
        task_side_ = std::clamp<int64_t>(blocks / 32, 1, 4);
        if (loss.row_ids) {
            encode(*loss.row_ids, problem.self ? *loss.row_ids : *loss.column_ids, row_ids_,
                   column_ids_);
            problem.rows.ids = row_ids_.get();
            problem.columns.ids = column_ids_.get();
        }
        if (loss.labels) {
            positives_ = encode(*loss.labels, problem.self ? *loss.labels : *loss.column_labels,
                                row_labels_, column_labels_);
            problem.rows.labels = row_labels_.get();
            problem.columns.labels = column_labels_.get();
        }
    }

    // Of rows, and of columns where they have losses of their own.
    int64_t losses() const { return rows.count() + (problem.both ? columns.count() : 0); }

    int64_t padded(const Side<T>& side) const { return side.blocks * problem.block; }

    // How many positives by label row i has.
    int64_t positives(int64_t i) const { return positives_[i]; }

    Reader reader(const Stack& stack) const { return {stack, normalize_, tiles.bf16}; }

    // No row, and no column, has a larger norm.
    double largest_row_norm() const { return packed_rows_.front().largest_norm(); }
    double largest_column_norm() const { return packed_rows_.back().largest_norm(); }

    // Calls f with the schedule of the tasks, and with how many replicas of the rows it has.
    template <typename F>
    void with_schedule(const F& f) const {
        if (problem.self) {
            f(SymmetricSchedule(in_tasks(problem.rows.blocks)), 1);
        } else {
            const RectangularSchedule schedule(in_tasks(problem.rows.blocks),
                                               in_tasks(problem.columns.blocks));
            f(schedule, schedule.replicas());
        }
    }

    // Where the rows of a task begin among those of all replicas.
    int64_t replica_offset(const Task& task) const {
        return task.row_unit / in_tasks(problem.rows.blocks) * padded(problem.rows);
    }

    // Calls f(number, row, column) for the tiles of task t, in an order in which neighbours share
    // a block, so that half of what a tile needs is in the cache.
    template <typename F>
    void for_each_tile(int64_t t, const Task& task, const F& f) const {
        for (int64_t k = 0; k < task_side_ * task_side_; ++k) {
            const int64_t a = k / task_side_, b = k % task_side_;
            const int64_t row = task.row * task_side_ + a;
            const int64_t column = task.column * task_side_ + (a % 2 ? task_side_ - 1 - b : b);
            if (row >= problem.rows.blocks || column >= problem.columns.blocks) continue;
            if (problem.self && column < row) continue;
            f(t * task_side_ * task_side_ + k, row, column);
        }
    }

    Kernels<T> tiles;
    Stack rows, columns;
    Problem<T> problem;

  private:
    int64_t in_tasks(int64_t blocks) const { return (blocks + task_side_ - 1) / task_side_; }

    // Numbers the values of both sides alike. Returns for each row how many other rows have its
    // value.
    std::vector<int64_t> encode(const Tensor& row_values, const Tensor& column_values,
                                Aligned<Code<T>>& row_codes, Aligned<Code<T>>& column_codes) {
        std::unordered_map<int64_t, Code<T>> codes;
        std::vector<int64_t> counts;
        const auto fill = [&](const Tensor& values, const Side<T>& side, Aligned<Code<T>>& out,
                              Code<T> pad) {
            out = Aligned<Code<T>>(padded(side));
            const auto* from = static_cast<const int64_t*>(values.const_data_ptr());
            const int64_t period = values.numel();  // the halves of pairs share their ids
            for (int64_t i = 0; i < padded(side); ++i) {
                if (i >= side.count) {
                    out[i] = pad;
                    continue;
                }
                const auto next = static_cast<Code<T>>(codes.size());
                out[i] = codes.try_emplace(from[i % period], next).first->second;
                if (out[i] == next) counts.push_back(0);
                ++counts[out[i]];
            }
        };
        fill(row_values, problem.rows, row_codes, -1);
        std::vector<int64_t> others(problem.rows.count);
        for (int64_t i = 0; i < problem.rows.count; ++i) others[i] = counts[row_codes[i]] - 1;
        fill(column_values, problem.columns, column_codes, -2);
        return others;
    }

    bool normalize_;
    int64_t task_side_ = 1;               // a task is a square of so many tiles
    std::vector<Packed<T>> packed_rows_;  // rows, and columns if they are others
    Aligned<Code<T>> row_ids_, column_ids_, row_labels_, column_labels_;
    std::vector<int64_t> positives_;
};

}  // namespace lelkern::contrastive
