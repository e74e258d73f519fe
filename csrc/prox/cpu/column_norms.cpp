#include "prox/cpu/column_norms.h"

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "prox/cpu/group_tasks.h"
#include "shared/cpu/large_results.h"

namespace lelkern::prox {
namespace {

constexpr int64_t kCached = int64_t{1} << 17;  // numbers that stay in the cache of a core
constexpr int64_t kMostParts = 16;             // of the rows, whose sums are added in order
constexpr int64_t kFewestRows = 64;            // of a part

double infinity() { return std::numeric_limits<double>::infinity(); }

// T: what is computed in.
template <typename T>
class Job {
  public:
    explicit Job(const ColumnProx& prox)
        : prox_(prox),
          groups_(prox.groups),
          kernels_(prox_kernels(prox.dtype)),
          from_bytes_(prox.widened ? sizeof(T) : bytes_of(prox.dtype)),
          to_bytes_(bytes_of(prox.dtype)) {}

    void run() const {
        const int64_t slab = groups_.size * groups_.inner;
        slab <= kCached ? run_slab_by_slab(slab) : run_in_parts();
    }

  private:
    // What the columns [first, first + count) of groups are multiplied by.
    struct Factors {
        std::vector<T> lam1, factor;
        std::vector<double> sums;

        explicit Factors(int64_t count) : lam1(count), factor(count), sums(count) {}
    };

    // A slab [a, :, :] at a time, which is still in the cache when it is scaled.
    void run_slab_by_slab(int64_t slab) const {
        const int64_t grain = std::max<int64_t>(1, kGrain / slab), inner = groups_.inner;
        torch::stable::parallel_for(0, groups_.outer, grain, [&](int64_t begin, int64_t end) {
            Factors all(inner);
            for (int64_t a = begin; a < end; ++a) {
                fill_lam1(a * inner, inner, all.lam1.data());
                const auto add_up = [&](bool in_double) {
                    std::fill(all.sums.begin(), all.sums.end(), 0.0);
                    kernels_.column_squares(columns(a, 0, groups_.size, all.lam1.data()), in_double,
                                            all.sums.data());
                };
                add_up(false);
                if (lost_digits(a * inner, inner, all.sums.data())) add_up(true);
                fill_factors(a * inner, inner, all.sums.data(), all.factor.data());
                scale(a, 0, groups_.size, all);
            }
            finish_past_cache();
        });
    }

    // All rows of a part after the other, once for the sums and once to scale them, in the opposite
    // order: what was read last is still in a cache.
    void run_in_parts() const {
        const int64_t inner = groups_.inner, outer = groups_.outer;
        const int64_t parts = std::clamp<int64_t>(groups_.size / kFewestRows, 1, kMostParts);
        Factors all(outer * inner);
        std::vector<double> sums(outer * parts * inner);
        fill_lam1(0, outer * inner, all.lam1.data());
        const auto first_row = [&](int64_t part) { return groups_.size * part / parts; };
        const auto add_up = [&](bool in_double) {
            std::fill(sums.begin(), sums.end(), 0.0);
            torch::stable::parallel_for(0, outer * parts, 1, [&](int64_t begin, int64_t end) {
                for (int64_t k = begin; k < end; ++k) {
                    const int64_t a = k / parts, part = k % parts;
                    const T* const lam1 = all.lam1.data() + a * inner;
                    kernels_.column_squares(columns(a, first_row(part), first_row(part + 1), lam1),
                                            in_double, sums.data() + k * inner);
                }
            });
            std::fill(all.sums.begin(), all.sums.end(), 0.0);
            for (int64_t a = 0; a < outer; ++a) {
                for (int64_t part = 0; part < parts; ++part) {
                    const double* const of_part = sums.data() + (a * parts + part) * inner;
                    for (int64_t b = 0; b < inner; ++b) all.sums[a * inner + b] += of_part[b];
                }
            }
        };
        add_up(false);
        if (lost_digits(0, outer * inner, all.sums.data())) add_up(true);
        torch::stable::parallel_for(0, outer * inner, kGrain / 64, [&](int64_t begin, int64_t end) {
            fill_factors(begin, end - begin, all.sums.data() + begin, all.factor.data() + begin);
        });
        torch::stable::parallel_for(0, outer * parts, 1, [&](int64_t begin, int64_t end) {
            for (int64_t k = end; k-- > begin;) {
                scale(k / parts, first_row(k % parts), first_row(k % parts + 1), all,
                      k / parts * inner);
            }
            finish_past_cache();
        });
    }

    int64_t place(int64_t a, int64_t row) const { return (a * groups_.size + row) * groups_.inner; }

    Columns columns(int64_t a, int64_t first, int64_t last, const T* lam1) const {
        const char* const from =
            static_cast<const char*>(prox_.from) + place(a, first) * from_bytes_;
        const bool softened = prox_.lam1.values != nullptr;
        return {from,          prox_.widened, last - first,
                groups_.inner, groups_.inner, softened ? static_cast<const void*>(lam1) : nullptr};
    }

    void scale(int64_t a, int64_t first, int64_t last, const Factors& all, int64_t at = 0) const {
        char* const to = static_cast<char*>(prox_.results.to) + place(a, first) * to_bytes_;
        kernels_.scale_columns(columns(a, first, last, all.lam1.data() + at),
                               all.factor.data() + at, {to, prox_.results.past_cache});
    }

    void fill_lam1(int64_t first, int64_t count, T* lam1) const {
        for (int64_t i = 0; i < count; ++i) {
            lam1[i] = static_cast<T>(threshold_of(prox_.lam1, first + i, prox_.dtype));
        }
    }

    void fill_factors(int64_t first, int64_t count, const double* sums, T* factors) const {
        for (int64_t i = 0; i < count; ++i) {
            const int64_t g = first + i;
            double norm = std::sqrt(sums[i]), t = threshold_of(prox_.lam, g, prox_.dtype);
            int exponent = 0;
            if constexpr (std::is_same_v<T, double>) {
                if (!are_in_range(sums[i], groups_.size, prox_.dtype)) norm = exact(g, exponent);
            }
            if (prox_.root != nullptr) {
                static_cast<T*>(prox_.root)[g] = static_cast<T>(std::ldexp(norm, exponent));
            }
            t = std::ldexp(t, -exponent);
            factors[i] = static_cast<T>(t == 0 ? 1 : norm <= t ? 0 : 1 - t / norm);
        }
    }

    // Whether a norm that decides something has lost digits as its squares, which were added up in
    // float, left the range of floats. Columns of zeros, as sparse weights have, have not: their
    // norms are below any threshold but the smallest.
    bool lost_digits(int64_t first, int64_t count, const double* sums) const {
        if (std::is_same_v<T, double>) return false;
        const double least = least_in_range(prox_.dtype) * static_cast<double>(groups_.size);
        for (int64_t i = 0; i < count; ++i) {
            if (are_in_range(sums[i], groups_.size, prox_.dtype) || std::isnan(sums[i])) continue;
            const double t = threshold_of(prox_.lam, first + i, prox_.dtype);
            if (!(sums[i] < least && 2 * least <= t * t)) return true;
        }
        return false;
    }

    // The norm of a column of doubles as a number times 2^exponent.
    double exact(int64_t g, int& exponent) const {
        const int64_t n = groups_.size, inner = groups_.inner;
        const T* const from = static_cast<const T*>(prox_.from) + place(g / inner, 0) + g % inner;
        std::vector<T> column(n);
        double largest = 0;
        for (int64_t i = 0; i < n; ++i) {
            column[i] = from[i * inner];
            if (!(std::fabs(column[i]) <= largest)) largest = std::fabs(column[i]);
        }
        const double lam1 = threshold_of(prox_.lam1, g, prox_.dtype);
        if (largest > 0 && largest < infinity()) {
            std::frexp(largest, &exponent);
            for (T& each : column) each = static_cast<T>(std::ldexp(each, -exponent));
        }
        const GroupRow row{column.data(), false, n, std::ldexp(lam1, -exponent), 0, 2, nullptr};
        return kernels_.group(row, {column.data(), false});
    }

    const ColumnProx& prox_;
    const Groups& groups_;
    const ProxKernels& kernels_;
    const int64_t from_bytes_, to_bytes_;
};

}  // namespace

void prox_columns(const ColumnProx& prox) {
    if (prox.dtype == ScalarType::Double) {
        Job<double>(prox).run();
    } else {
        Job<float>(prox).run();
    }
}

}  // namespace lelkern::prox
