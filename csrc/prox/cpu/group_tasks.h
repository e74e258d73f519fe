// Groups of a tensor as tasks for threads, and their numbers side by side, wherever they lie.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "prox/common/groups.h"
#include "prox/cpu/prox_kernels.h"
#include "shared/common/dispatch_floating.h"

namespace lelkern::prox {

constexpr int64_t kGrain = 32768;  // numbers that are worth waking a thread

inline int64_t bytes_of(ScalarType dtype) {
    int64_t bytes = 0;
    dispatch_floating(dtype, [&](auto* type) { bytes = sizeof(*type); });
    return bytes;
}

// Memory for a thread, aligned as vectors are, and left as it comes.
class Scratch {
  public:
    // At least so many bytes, with nothing that matters in them.
    void* room(int64_t bytes) {
        const auto lines = static_cast<std::size_t>(bytes) / sizeof(Line) + 1;
        if (lines > lines_) {
            memory_.reset(new Line[lines]);
            lines_ = lines;
        }
        return memory_.get();
    }

  private:
    struct alignas(64) Line {
        char bytes[64];
    };
    std::unique_ptr<Line[]> memory_;
    std::size_t lines_ = 0;
};

// Numbers of some size in memory, of a tensor that groups are of.
struct NumbersFrom {
    const void* data;
    int64_t bytes;
};
struct NumbersTo {
    void* data;
    int64_t bytes;
};

// A thread takes a task at a time: neighbouring groups.
class GroupTasks {
  public:
    explicit GroupTasks(const Groups& groups);

    int64_t count() const { return count_; }

    // Calls f(g, n, at, to) for the groups of a task: `at` has where the n numbers of each input
    // begin, and `to` where those of the output do, which may be those of an input.
    template <int inputs, typename F>
    void run(int64_t task, const NumbersFrom (&from)[inputs], const NumbersTo& to, Scratch& scratch,
             const F& f) const {
        if (groups_.listed()) return run_listed(task, from, to, scratch, f);
        if (groups_.inner == 1) return run_rows(task, from, to, f);
        run_interleaved(task, from, to, scratch, f);
    }

  private:
    // Between rows of a tile, so that they do not all ask for the same lines of a cache.
    static constexpr int64_t kApart = 16;

    template <int inputs, typename F>
    void run_rows(int64_t task, const NumbersFrom (&from)[inputs], const NumbersTo& to,
                  const F& f) const {
        const int64_t n = groups_.size;
        const int64_t last = std::min(groups_.count, (task + 1) * width_);
        for (int64_t g = task * width_; g < last; ++g) {
            const void* at[inputs];
            for (int i = 0; i < inputs; ++i) at[i] = place(from[i], g * n);
            f(g, n, at, place(to, g * n));
        }
    }

    // As many groups as a tile is wide become rows.
    template <int inputs, typename F>
    void run_interleaved(int64_t task, const NumbersFrom (&from)[inputs], const NumbersTo& to,
                         Scratch& scratch, const F& f) const {
        const int64_t n = groups_.size, inner = groups_.inner, row = n + kApart;
        const int64_t a = task / tiles_, first = task % tiles_ * width_;
        const int64_t width = std::min(width_, inner - first), start = a * n * inner + first;
        Rows<inputs> rows(from, to, width * row, scratch);
        for (int i = 0; i < inputs; ++i) {
            with_words(from[i].bytes, [&](auto* type) {
                const auto* source = word(type, from[i].data) + start;
                auto* target = word(type, rows.input[i]);
                for (int64_t k = 0; k < n; ++k) {
                    for (int64_t b = 0; b < width; ++b) target[b * row + k] = source[k * inner + b];
                }
            });
        }
        for (int64_t b = 0; b < width; ++b) {
            const void* at[inputs];
            for (int i = 0; i < inputs; ++i)
                at[i] = place(NumbersFrom{rows.input[i], from[i].bytes}, b * row);
            f(a * inner + first + b, n, at, place(NumbersTo{rows.output, to.bytes}, b * row));
        }
        with_words(to.bytes, [&](auto* type) {
            const auto* source = word(type, static_cast<const void*>(rows.output));
            auto* target = word(type, to.data) + start;
            for (int64_t k = 0; k < n; ++k) {
                for (int64_t b = 0; b < width; ++b) target[k * inner + b] = source[b * row + k];
            }
        });
    }

    template <int inputs, typename F>
    void run_listed(int64_t task, const NumbersFrom (&from)[inputs], const NumbersTo& to,
                    Scratch& scratch, const F& f) const {
        for (int64_t g = starts_[task]; g < starts_[task + 1]; ++g) {
            const int64_t* const indices = groups_.indices + groups_.ptr[g];
            const int64_t n = groups_.ptr[g + 1] - groups_.ptr[g];
            Rows<inputs> rows(from, to, n, scratch);
            const void* at[inputs];
            for (int i = 0; i < inputs; ++i) {
                with_words(from[i].bytes, [&](auto* type) {
                    const auto* source = word(type, from[i].data);
                    auto* target = word(type, rows.input[i]);
                    for (int64_t k = 0; k < n; ++k) target[k] = source[indices[k]];
                });
                at[i] = rows.input[i];
            }
            f(g, n, at, rows.output);
            with_words(to.bytes, [&](auto* type) {
                const auto* source = word(type, static_cast<const void*>(rows.output));
                auto* target = word(type, to.data);
                for (int64_t k = 0; k < n; ++k) target[indices[k]] = source[k];
            });
        }
    }

    // Room for numbers that are gathered.
    template <int inputs>
    struct Rows {
        Rows(const NumbersFrom (&from)[inputs], const NumbersTo& to, int64_t numbers,
             Scratch& scratch) {
            constexpr int64_t line = 64;
            const auto padded = [&](int64_t bytes) {
                return (numbers * bytes + line - 1) / line * line;
            };
            int64_t bytes = padded(to.bytes);
            for (const NumbersFrom& each : from) bytes += padded(each.bytes);
            char* next = static_cast<char*>(scratch.room(bytes));
            for (int i = 0; i < inputs; ++i) {
                input[i] = next;
                next += padded(from[i].bytes);
            }
            output = next;
        }

        void *input[inputs], *output;
    };

    static const void* place(const NumbersFrom& of, int64_t i) {
        return static_cast<const char*>(of.data) + i * of.bytes;
    }
    static void* place(const NumbersTo& of, int64_t i) {
        return static_cast<char*>(of.data) + i * of.bytes;
    }

    template <typename Word>
    static const Word* word(Word*, const void* at) {
        return static_cast<const Word*>(at);
    }
    template <typename Word>
    static Word* word(Word*, void* at) {
        return static_cast<Word*>(at);
    }

    // Calls f with a null pointer to a word of so many bytes.
    template <typename F>
    static void with_words(int64_t bytes, const F& f) {
        if (bytes == 2) {
            f(static_cast<uint16_t*>(nullptr));
        } else if (bytes == 4) {
            f(static_cast<uint32_t*>(nullptr));
        } else {
            f(static_cast<uint64_t*>(nullptr));
        }
    }

    const Groups groups_;
    int64_t width_ = 1;            // groups of a task that are not listed
    int64_t tiles_ = 1;            // of interleaved groups [a, :, :]
    std::vector<int64_t> starts_;  // of tasks among listed groups, and their end
    int64_t count_;
};

// Raises unless groups that are listed are of a tensor of so many numbers.
void check_listed_groups(const Groups& groups, int64_t numbers);

// The threshold of a group, or of all: as it is multiplied, rounded to the type that `dtype` is
// computed in; nan for one that is negative.
double threshold_of(const Scaled& thresholds, int64_t group, ScalarType dtype);

// The same for many groups: one for all of them is looked at once.
class Threshold {
  public:
    Threshold(const Scaled& thresholds, ScalarType dtype)
        : thresholds_(thresholds),
          dtype_(dtype),
          one_(thresholds.each ? 0 : threshold_of(thresholds, 0, dtype)) {}

    double of(int64_t group) const {
        return thresholds_.each ? threshold_of(thresholds_, group, dtype_) : one_;
    }

  private:
    const Scaled thresholds_;
    const ScalarType dtype_;
    const double one_;
};

}  // namespace lelkern::prox
