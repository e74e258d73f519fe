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
                std::fill(all.sums.begin(), all.sums.end(), 0.0);
                kernels_.column_squares(columns(a, 0, groups_.size, all.lam1.data()),
                                        all.sums.data());
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
        torch::stable::parallel_for(0, outer * parts, 1, [&](int64_t begin, int64_t end) {
            for (int64_t k = begin; k < end; ++k) {
                const int64_t a = k / parts, part = k % parts;
                kernels_.column_squares(
                    columns(a, first_row(part), first_row(part + 1), all.lam1.data() + a * inner),
                    sums.data() + k * inner);
            }
        });
        for (int64_t a = 0; a < outer; ++a) {
            for (int64_t part = 0; part < parts; ++part) {
                const double* const of_part = sums.data() + (a * parts + part) * inner;
                for (int64_t b = 0; b < inner; ++b) all.sums[a * inner + b] += of_part[b];
            }
        }
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
            const bool in_range = are_in_range(sums[i], groups_.size, prox_.dtype);
            if (!in_range && !std::isnan(norm) && !vanishes(sums[i], t)) norm = exact(g, exponent);
            if (prox_.root != nullptr) {
                static_cast<T*>(prox_.root)[g] = static_cast<T>(std::ldexp(norm, exponent));
            }
            t = std::ldexp(t, -exponent);
            factors[i] = static_cast<T>(t == 0 ? 1 : norm <= t ? 0 : 1 - t / norm);
        }
    }

    // Whether the norm is below the threshold though its squares, of floats, have lost digits, or
    // all: columns of zeros should not take longer than others.
    bool vanishes(double squares, double t) const {
        if (prox_.dtype == ScalarType::Double) return false;
        const double most = least_in_range(prox_.dtype) * static_cast<double>(groups_.size);
        return squares < most && 2 * most <= t * t;
    }

    // The norm of a column as a number times 2^exponent, in double.
    double exact(int64_t g, int& exponent) const {
        const int64_t n = groups_.size, inner = groups_.inner;
        std::vector<double> column(n);
        const auto gather = [&](const auto* from) {
            for (int64_t i = 0; i < n; ++i) {
                column[i] = static_cast<double>(from[place(g / inner, i) + g % inner]);
            }
        };
        if (prox_.widened) {
            gather(static_cast<const T*>(prox_.from));
        } else {
            dispatch_floating(prox_.dtype, [&](auto* type) {
                using Element = std::remove_pointer_t<decltype(type)>;
                gather(static_cast<const Element*>(prox_.from));
            });
        }
        double largest = 0;
        for (const double each : column) {
            if (!(std::fabs(each) <= largest)) largest = std::fabs(each);
        }
        const double lam1 = threshold_of(prox_.lam1, g, prox_.dtype);
        if (largest > 0 && largest < infinity()) {
            std::frexp(largest, &exponent);
            for (double& each : column) each = std::ldexp(each, -exponent);
        }
        const GroupRow row{column.data(), false, n, std::ldexp(lam1, -exponent), 0, 2, nullptr};
        return prox_kernels(ScalarType::Double).group(row, {column.data(), false});
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
