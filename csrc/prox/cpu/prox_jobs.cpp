#include "prox/cpu/prox_jobs.h"

#include <torch/csrc/stable/ops.h>

#include <cstring>

#include "prox/cpu/column_norms.h"
#include "prox/cpu/group_tasks.h"
#include "prox/cpu/numbers.h"
#include "shared/cpu/large_results.h"

namespace lelkern::prox {
namespace {

int64_t computed_bytes(ScalarType dtype) {
    return dtype == ScalarType::Double ? sizeof(double) : sizeof(float);
}

template <typename Pointer>
Pointer* at_byte(Pointer* of, int64_t bytes) {
    if (of == nullptr) return nullptr;
    using Char = std::conditional_t<std::is_const_v<Pointer>, const char, char>;
    return static_cast<Char*>(of) + bytes;
}

bool is_zero(const Scaled& thresholds, ScalarType dtype) {
    return !thresholds.each && threshold_of(thresholds, 0, dtype) == 0;
}

// One tensor, in tasks for threads.
class Work {
  public:
    Work(const ProxJob& job, const SgdStep* step)
        : job_(job),
          step_(step),
          kernels_(prox_kernels(job.dtype)),
          bytes_(bytes_of(job.dtype)),
          by_numbers_(goes_by_numbers(job)),
          by_columns_(!by_numbers_ && job.q == 2 && job.metric == nullptr &&
                      crosses_columns(job.groups)),
          tasks_(by_numbers_ || by_columns_ ? Groups{0, 0, 1, nullptr, nullptr, 0, 0} : job.groups),
          past_cache_(job.from != job.to && goes_past_cache(job.numbers * bytes_)) {
        check_listed_groups(job.groups, job.numbers);
        if (job.from != job.to) advise_huge_pages(job.to, job.numbers * bytes_);
        const bool apart = job.groups.listed() || job.groups.inner > 1;
        prepares_ = !by_numbers_ && apart && (step != nullptr || outside_of_groups());
        // Numbers of 16 bits are not rounded between the step and the prox.
        widened_ = prepares_ && step != nullptr && bytes_ == 2;
        if (widened_) stepped_.resize(job.numbers);
    }

    int64_t preparations() const { return prepares_ ? pieces() : 0; }
    int64_t tasks() const { return by_numbers_ ? pieces() : tasks_.count(); }

    // What comes before groups that do not lie side by side: the step, or numbers of no group.
    void prepare(int64_t piece) {
        const auto [first, n] = numbers_of(piece);
        const int64_t byte = first * bytes_;
        const void* from = at_byte(job_.from, byte);
        void* to = at_byte(job_.to, byte);
        if (step_ == nullptr) {
            std::memcpy(to, from, n * bytes_);
            return;
        }
        step_numbers(first, n, widened_ ? static_cast<void*>(stepped_.data() + first) : to,
                     widened_);
        if (!widened_) return;
        const Scaled none{nullptr, false, 1};
        kernels_.soft(stepped_.data() + first, true, n, none, none, {to, false});
    }

    void run(int64_t task, Scratch& gathered, Scratch& room) const {
        if (by_numbers_) {
            run_numbers(task, gathered);
        } else if (job_.metric != nullptr) {
            run_groups_in_metric(task, gathered, room);
        } else {
            run_groups(task, gathered, room);
        }
        if (past_cache_) finish_past_cache();
    }

    void run_columns() const {
        if (!by_columns_) return;
        prox_columns({groups_from(),
                      widened_,
                      {job_.to, past_cache_},
                      job_.dtype,
                      job_.groups,
                      job_.lam1,
                      job_.lam,
                      job_.root});
    }

  private:
    // Groups of one number each, or numbers that only soft thresholds change. (In a metric the
    // threshold of a group of one is not a soft one where something is infinite.)
    static bool goes_by_numbers(const ProxJob& job) {
        if (job.root != nullptr || job.groups.listed()) return false;
        if (job.metric != nullptr && !is_zero(job.lam, job.dtype)) return false;
        if (job.groups.size == 1) return true;
        return !job.lam1.each && is_zero(job.lam, job.dtype);
    }

    bool outside_of_groups() const {
        return job_.groups.listed() && job_.from != job_.to && job_.groups.entries < job_.numbers;
    }

    int64_t pieces() const { return (job_.numbers + kGrain - 1) / kGrain; }

    struct Piece {
        int64_t first, count;
    };
    Piece numbers_of(int64_t piece) const {
        const int64_t first = piece * kGrain;
        return {first, std::min(kGrain, job_.numbers - first)};
    }

    const void* groups_from() const {
        if (widened_) return stepped_.data();
        return prepares_ ? job_.to : job_.from;
    }

    void step_numbers(int64_t first, int64_t n, void* to, bool widened) const {
        const int64_t byte = first * bytes_;
        kernels_.sgd(at_byte(job_.from, byte), at_byte(job_.grad, byte), at_byte(job_.buffer, byte),
                     n, *step_, to, widened);
    }

    Scaled from_number(Scaled thresholds, int64_t first) const {
        if (thresholds.each) {
            thresholds.values = at_byte(thresholds.values, first * computed_bytes(job_.dtype));
        }
        return thresholds;
    }

    void run_numbers(int64_t piece, Scratch& scratch) const {
        constexpr int64_t together = 4096;  // numbers that are in the nearest cache twice
        const auto [begin, count] = numbers_of(piece);
        const bool one_by_one = job_.groups.size == 1;
        for (int64_t i = 0; i < count; i += together) {
            const int64_t first = begin + i, n = std::min(together, count - i);
            const int64_t byte = first * bytes_;
            const void* from = at_byte(job_.from, byte);
            const Scaled lam1 = from_number(job_.lam1, first);
            if (job_.metric != nullptr) {
                kernels_.soft_in_metric(from, metric_at(first), n, lam1, at_byte(job_.to, byte));
                continue;
            }
            const bool widened = step_ != nullptr;
            if (widened) {
                void* const stepped = scratch.room(together * computed_bytes(job_.dtype));
                step_numbers(first, n, stepped, true);
                from = stepped;
            }
            const Scaled none{nullptr, false, 1};
            kernels_.soft(from, widened, n, lam1, one_by_one ? from_number(job_.lam, first) : none,
                          {at_byte(job_.to, byte), past_cache_});
        }
    }

    void run_groups(int64_t task, Scratch& gathered, Scratch& room) const {
        const bool steps = step_ != nullptr && !prepares_, direct = job_.groups.inner == 1;
        const int64_t from_bytes = widened_ ? computed_bytes(job_.dtype) : bytes_;
        const int64_t row_bytes = computed_bytes(job_.dtype);
        const bool past_cache = past_cache_ && direct && !job_.groups.listed();
        const Threshold lam1(job_.lam1, job_.dtype), lam(job_.lam, job_.dtype);
        tasks_.run<1>(task, {{groups_from(), from_bytes}}, {job_.to, bytes_}, gathered,
                      [&](int64_t g, int64_t n, const void* const* at, void* to) {
                          GroupRow row{at[0], widened_, n, lam1.of(g), lam.of(g), job_.q, nullptr};
                          char* const scratch = static_cast<char*>(
                              room.room(scratch_bytes(n) + (steps ? n * row_bytes : 0)));
                          row.scratch = scratch;
                          if (steps) {
                              const bool in_place = bytes_ == row_bytes;
                              void* const stepped = in_place ? to : scratch + scratch_bytes(n);
                              step_numbers(g * n, n, stepped, true);
                              row.from = stepped;
                              row.widened = true;
                          }
                          const double root = kernels_.group(row, {to, past_cache});
                          if (job_.root != nullptr) put_number(job_.root, job_.dtype, g, root);
                      });
    }

    void run_groups_in_metric(int64_t task, Scratch& gathered, Scratch& room) const {
        const Threshold lam1(job_.lam1, job_.dtype), lam(job_.lam, job_.dtype);
        tasks_.run<2>(task, {{job_.from, bytes_}, {job_.metric, computed_bytes(job_.dtype)}},
                      {job_.to, bytes_}, gathered,
                      [&](int64_t g, int64_t n, const void* const* at, void* to) {
                          kernels_.group_in_metric(
                              {at[0], at[1], n, lam1.of(g), lam.of(g), room.room(scratch_bytes(n))},
                              to);
                      });
    }

    const void* metric_at(int64_t i) const {
        return at_byte(job_.metric, i * computed_bytes(job_.dtype));
    }

    const ProxJob job_;
    const SgdStep* const step_;
    const ProxKernels& kernels_;
    const int64_t bytes_;
    const bool by_numbers_, by_columns_;
    const GroupTasks tasks_;
    const bool past_cache_;
    bool prepares_ = false, widened_ = false;
    std::vector<float> stepped_;
};

// Calls f(work, task) for all tasks of all works, `count(work)` of each.
template <typename Count, typename F>
void for_each_task(std::vector<Work>& works, int64_t grain, const Count& count, const F& f) {
    std::vector<int64_t> starts{0};
    for (const Work& work : works) starts.push_back(starts.back() + count(work));
    torch::stable::parallel_for(0, starts.back(), grain, [&](int64_t begin, int64_t end) {
        Scratch gathered, room;
        // The work with task `begin`; those without tasks have the start of the next.
        auto at = std::upper_bound(starts.begin(), starts.end(), begin) - 1;
        for (; begin < end; ++at) {
            const int64_t until = std::min(end, at[1]);
            Work& work = works[at - starts.begin()];
            for (; begin < until; ++begin) f(work, begin - *at, gathered, room);
        }
    });
}

}  // namespace

void run_prox(const std::vector<ProxJob>& jobs, const SgdStep* step) {
    std::vector<Work> works;
    works.reserve(jobs.size());
    int64_t numbers = 0;
    for (const ProxJob& job : jobs) {
        works.emplace_back(job, step);
        numbers += job.numbers;
    }
    int64_t preparations = 0, tasks = 0;
    for (const Work& work : works) {
        preparations += work.preparations();
        tasks += work.tasks();
    }
    if (preparations > 0) {
        for_each_task(
            works, 1, [](const Work& work) { return work.preparations(); },
            [](Work& work, int64_t piece, Scratch&, Scratch&) { work.prepare(piece); });
    }
    if (tasks > 0) {
        // Tasks of small tensors are small.
        const int64_t grain =
            numbers < kGrain ? tasks : std::max<int64_t>(1, tasks * kGrain / numbers);
        for_each_task(
            works, grain, [](const Work& work) { return work.tasks(); },
            [](Work& work, int64_t task, Scratch& gathered, Scratch& room) {
                work.run(task, gathered, room);
            });
    }
    for (const Work& work : works) work.run_columns();
}

}  // namespace lelkern::prox
