// Projection onto the l1-infinity ball on a CPU.

#include "prox/common/project_l1inf.h"

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "prox/cpu/group_tasks.h"
#include "prox/cpu/numbers.h"
#include "prox/cpu/prox_kernels.h"
#include "shared/cpu/large_results.h"

namespace lelkern::prox {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

// Of a row: its sum and largest number, and where it is cut, by how many numbers; 0 and 0: not at
// all as yet, or all of it vanishes.
struct CutRow {
    double sum, largest, level, count;
};

// One problem (G, n).
class Problem {
  public:
    Problem(const ProxKernels& kernels, const char* x, int64_t rows, int64_t n, int64_t row_bytes)
        : kernels_(kernels), x_(x), n_(n), row_bytes_(row_bytes), rows_(rows) {}

    // The levels of rows; infinite if x is in the ball, and nan if there are none.
    void solve(double radius) {
        for_each_row([&](int64_t g) {
            CutRow& row = rows_[g];
            kernels_.magnitudes(at(g), n_, &row.sum, &row.largest);
        });
        double largest = 0, sum = 0, total = 0;
        for (const CutRow& row : rows_) {
            total += row.sum;
            sum += row.largest;
            largest = row.largest <= largest ? largest : row.largest;
        }
        if (sum != sum || !(radius >= 0) || (largest == kInfinite && radius < kInfinite)) {
            return set_levels(kUndefined);
        }
        if (sum <= radius) return set_levels(kInfinite);
        if (total == kInfinite && radius > 0) return solve_smaller(radius);
        if (radius == 0) return set_levels(0);
        // The levels sum to a convex function of what all rows lose, made of lines: by Newton's
        // method, from where they lose nothing.
        double lost = 0, missing = sum - radius, slope = 0;
        for (const CutRow& row : rows_) slope += row.largest > 0 ? 1 : 0;
        for (;;) {
            const double next = lost + missing / slope;
            if (!(next > lost)) break;
            cut_rows(lost, next);
            lost = next;
            slope = missing = 0;
            for (const CutRow& row : rows_) {
                missing += row.level;
                if (row.count > 0) slope += 1 / row.count;
            }
            missing -= radius;
            if (missing <= kEnough * radius) break;
        }
    }

    double level(int64_t g) const { return rows_[g].level; }
    const char* at(int64_t g) const { return x_ + g * row_bytes_; }

    template <typename F>
    void for_each_row(const F& f) const {
        const int64_t grain = std::max<int64_t>(1, kGrain / n_);
        torch::stable::parallel_for(0, static_cast<int64_t>(rows_.size()), grain,
                                    [&](int64_t begin, int64_t end) {
                                        for (int64_t g = begin; g < end; ++g) f(g);
                                        finish_past_cache();
                                    });
    }

  private:
    static constexpr double kEnough = 1e-15;

    // Sums overflow: with all numbers divided by a power of 2, which rounds none that matters.
    void solve_smaller(double radius) {
        int exponent = 0;
        std::frexp(static_cast<double>(n_) * static_cast<double>(rows_.size()), &exponent);
        exponent += 2;
        const int64_t rows = static_cast<int64_t>(rows_.size());
        std::vector<char> smaller(rows * row_bytes_);
        const bool in_double = row_bytes_ == n_ * static_cast<int64_t>(sizeof(double));
        const double by = std::ldexp(1.0, -exponent);
        const std::vector<double> factors(in_double ? n_ : 0, by);
        const std::vector<float> lesser(in_double ? 0 : n_, static_cast<float>(by));
        const void* const each =
            in_double ? static_cast<const void*>(factors.data()) : lesser.data();
        kernels_.scale_columns({x_, false, rows, n_, n_, nullptr}, each, {smaller.data(), false});
        Problem problem(kernels_, smaller.data(), rows, n_, row_bytes_);
        problem.solve(std::ldexp(radius, -exponent));
        for (int64_t g = 0; g < rows; ++g) rows_[g].level = std::ldexp(problem.level(g), exponent);
    }

    void set_levels(double level) {
        for (CutRow& row : rows_) row.level = level;
    }

    void cut_rows(double before, double lost) {
        for_each_row([&](int64_t g) {
            CutRow& row = rows_[g];
            if (row.sum <= lost) {
                row.level = row.count = 0;
                return;
            }
            double start = std::max((row.sum - lost) / static_cast<double>(n_), row.largest - lost);
            // On the line that the level was on before, which is below it.
            if (row.count > 0) start = std::max(start, row.level + (before - lost) / row.count);
            if (!(start < kInfinite)) start = row.largest - lost;
            const Cut cut = kernels_.cut(at(g), n_, lost, start);
            row.level = cut.level;
            row.count = cut.count;
        });
    }

    const ProxKernels& kernels_;
    const char* const x_;
    const int64_t n_, row_bytes_;
    std::vector<CutRow> rows_;
};

// Calls f(p) for all problems: few of them one after the other, with threads for the rows of each.
template <typename F>
void for_each_problem(int64_t count, int64_t numbers, const F& f) {
    constexpr int64_t few = 8;
    if (count < few) {
        for (int64_t p = 0; p < count; ++p) f(p);
        return;
    }
    const int64_t grain = std::max<int64_t>(1, kGrain / numbers);
    torch::stable::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) f(p);
    });
}

}  // namespace

void project_l1inf(const Tensor& x, const Tensor& radius, Tensor& y, Tensor& level) {
    const ProxKernels& kernels = prox_kernels(x.scalar_type());
    const int64_t rows = x.size(1), n = x.size(2), row_bytes = n * bytes_of(x.scalar_type());
    const char* const from = static_cast<const char*>(x.const_data_ptr());
    char* const to = static_cast<char*>(y.mutable_data_ptr());
    void* const levels = level.mutable_data_ptr();
    const int64_t bytes = x.size(0) * rows * row_bytes;
    advise_huge_pages(to, bytes);
    const bool past_cache = goes_past_cache(bytes);
    for_each_problem(x.size(0), rows * n, [&](int64_t p) {
        Problem problem(kernels, from + p * rows * row_bytes, rows, n, row_bytes);
        problem.solve(number_at(radius, radius.dim() == 0 ? 0 : p));
        problem.for_each_row([&](int64_t g) {
            const int64_t row = p * rows + g;
            put_number(levels, level.scalar_type(), row, problem.level(g));
            kernels.clip(problem.at(g), n, problem.level(g), {to + row * row_bytes, past_cache});
        });
    });
}

void project_l1inf_backward(const Tensor& grad, const Tensor& x, const Tensor& level, Tensor& of_x,
                            Tensor& of_radius) {
    const ProxKernels& kernels = prox_kernels(x.scalar_type());
    const int64_t rows = x.size(1), n = x.size(2), row_bytes = n * bytes_of(x.scalar_type());
    const char* const of_y = static_cast<const char*>(grad.const_data_ptr());
    const char* const from = static_cast<const char*>(x.const_data_ptr());
    char* const to = static_cast<char*>(of_x.mutable_data_ptr());
    std::vector<double> of_problems(x.size(0));
    advise_huge_pages(to, x.size(0) * rows * row_bytes);
    for_each_problem(x.size(0), rows * n, [&](int64_t p) {
        const Problem problem(kernels, from + p * rows * row_bytes, rows, n, row_bytes);
        const auto level_of = [&](int64_t g) { return number_at(level, p * rows + g); };
        const auto place = [&](int64_t g) { return (p * rows + g) * row_bytes; };
        std::vector<double> along(rows), count(rows);
        problem.for_each_row([&](int64_t g) {
            // At an infinite level nothing is cut, what is infinite itself neither.
            if (level_of(g) > 0 && std::isfinite(level_of(g))) {
                along[g] =
                    kernels.along_cut(of_y + place(g), problem.at(g), n, level_of(g), &count[g]);
            }
        });
        double shares = 0, mean = 0;
        bool defined = true;
        for (int64_t g = 0; g < rows; ++g) {
            defined &= level_of(g) == level_of(g);
            if (count[g] == 0) continue;
            shares += 1 / count[g];
            mean += along[g] / count[g];
        }
        if (shares > 0) mean /= shares;
        if (!defined) mean = kUndefined;
        of_problems[p] = mean;
        problem.for_each_row([&](int64_t g) {
            const double value = !defined       ? kUndefined
                                 : count[g] > 0 ? (along[g] - mean) / count[g]
                                                : 0;
            if (defined && level_of(g) > 0 && count[g] == 0) {
                std::memcpy(to + place(g), of_y + place(g), row_bytes);
                return;
            }
            // What vanishes, and what is undefined, is all of it above the level.
            const double from_level = defined ? level_of(g) : 0;
            kernels.clip_backward(of_y + place(g), problem.at(g), n, from_level, value,
                                  to + place(g));
        });
    });
    put_gradients(of_problems, of_radius);
}

}  // namespace lelkern::prox

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("project_l1inf", &lelkern::prox::boxed_project_l1inf);
    m.impl("project_l1inf_backward", &lelkern::prox::boxed_project_l1inf_backward);
}
