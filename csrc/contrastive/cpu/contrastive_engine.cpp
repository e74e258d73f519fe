// The engine below NT-Xent, InfoNCE and SupCon: forward and backward of a matrix of similarities
// that exists one tile at a time.

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "contrastive/common/contrastive_op.h"
#include "contrastive/cpu/aligned.h"
#include "contrastive/cpu/contrastive.h"
#include "contrastive/cpu/contrastive_prepared.h"
#include "contrastive/cpu/contrastive_rows.h"
#include "contrastive/cpu/contrastive_tensors.h"
#include "contrastive/cpu/schedule.h"
#include "shared/cpu/read_scalar.h"

namespace lelkern::contrastive {
namespace {

constexpr double kLn2 = 0.6931471805599453;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The loss with its rows packed for the tiles, and its temperature.
template <typename T>
class PreparedLoss : public Prepared<T> {
  public:
    // `stats`: for forward, whether statistics or slopes are wanted.
    PreparedLoss(const Loss& loss, bool stats, bool for_backward)
        : Prepared<T>(loss, for_backward), loss(loss) {
        this->problem.stats = stats;
        set_temperature();
        set_centre();
    }

    const Loss& loss;

  private:
    void set_temperature() {
        double bound = this->largest_row_norm() * this->largest_column_norm();
        if (loss.given && !loss.normalize) {
            // Of a row without negatives the positive alone is the log-sum-exp.
            const Stack given({*loss.given});
            std::vector<double> row(given.D());
            for (int64_t i = 0; i < given.count(); ++i) {
                given.read(i, row.data());
                const double with = this->largest_row_norm() * norm_of(row.data(), given.D());
                if (!(with <= bound)) bound = with;
            }
        }
        const double temperature = read_scalar(loss.temperature);
        double beta = 1 / temperature;
        // Similarities beyond this would be taken for masked ones.
        const bool valid = temperature > 0 && std::isfinite(temperature) && bound < 1e18;
        if (!valid) beta = kNaN;
        this->problem.scale = static_cast<T>(beta / kLn2);
        this->problem.beta = this->problem.scale * kLn2;
        // Below, exp(beta s), its sums and their inverses stay far from overflow and underflow.
        this->problem.wide = !(beta * bound <= (std::is_same_v<T, double> ? 600 : 40));
    }

    // Any similarity will do: rows that are nearly equal have no others.
    void set_centre() {
        const int64_t D = this->rows.D();
        this->problem.centre = 0;
        if (this->rows.count() == 0 || this->columns.count() == 0) return;
        std::vector<double> row(D), column(D);
        this->reader(this->rows).read(0, row.data());
        this->reader(this->columns).read(0, column.data());
        const double first = dot_product(row.data(), column.data(), D);
        // nan stays in its row.
        if (std::isfinite(first)) this->problem.centre = static_cast<T>(first);
    }
};

// Memory for Sums.
template <typename T>
class SumsMemory {
  public:
    SumsMemory(const Problem<T>& problem, int64_t size)
        : sum_(size, 0),
          positive_sum_(size, 0),
          positives_(size, 0),
          dot_(size, 0),
          peak_(size, problem.wide ? static_cast<T>(kLowest) : T(0)),
          positive_(size, 0),
          best_negative_(size, static_cast<T>(kLowest)),
          best_positive_(size, static_cast<T>(kLowest)) {}

    // From row `first` on; a single positive belongs to no replica, and is kept once.
    Sums<T> from(int64_t first) {
        return {sum_.data() + first,           positive_sum_.data() + first,
                peak_.data() + first,          positive_.data(),
                positives_.data() + first,     dot_.data() + first,
                best_negative_.data() + first, best_positive_.data() + first};
    }

    // Adds to row i what a replica of it at `at` has.
    void merge(double scale, int64_t i, int64_t at) {
        const double peak = std::max(peak_[i], peak_[at]);
        const double shift = peak_[i] - peak, other_shift = peak_[at] - peak;
        const double shrink = std::exp2(scale * shift), other = std::exp2(scale * other_shift);
        dot_[i] =
            (dot_[i] + shift * sum_[i]) * shrink + (dot_[at] + other_shift * sum_[at]) * other;
        sum_[i] = sum_[i] * shrink + sum_[at] * other;
        peak_[i] = static_cast<T>(peak);
        best_negative_[i] = std::max(best_negative_[i], best_negative_[at]);
    }

  private:
    std::vector<double> sum_, positive_sum_, positives_, dot_;
    std::vector<T> peak_, positive_, best_negative_, best_positive_;
};

// What becomes of the sums of one row.
struct RowLoss {
    double loss, log_sum_exp;
};

template <typename T>
RowLoss loss_of(const Problem<T>& problem, const Sums<T>& sums, int64_t i, int64_t positives,
                bool decoupled) {
    const double beta = problem.beta, peak = sums.peak[i];
    double positive = sums.positive[i];
    if (problem.positives == Positives::labelled) {
        const double sum = sums.sum[i] + sums.positive_sum[i];
        const double log_sum_exp = std::log(sum) + beta * peak;
        if (positives == 0) return {0 * sum, log_sum_exp};
        positive = sums.positives[i] / static_cast<double>(positives);
        if (positives > 1) return {std::log(sum) + beta * (peak - positive), log_sum_exp};
    }
    // log of (sum over the negatives) / exp(positive), which is the decoupled loss; its softplus is
    // the other, and keeps its relative accuracy when the loss is nearly zero. A row without
    // negatives: log 0.
    const double x = std::log(sums.sum[i]) + beta * (peak - positive);
    if (decoupled) return {x, std::log(sums.sum[i]) + beta * peak};
    const double loss = x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
    return {loss, beta * positive + loss};
}

// Is the best candidate of row i a positive?
template <typename T>
bool is_correct(const Problem<T>& problem, const Sums<T>& sums, int64_t i) {
    const T best =
        problem.positives == Positives::labelled ? sums.best_positive[i] : sums.positive[i];
    const double other = sums.best_negative[i];
    // A given positive is computed apart: what equals a negative does so but for rounding.
    const double rounding = problem.positives == Positives::given
                                ? std::sqrt(static_cast<double>(problem.D)) *
                                      std::numeric_limits<T>::epsilon() * std::abs(other)
                                : 0;
    return best > other + rounding;
}

// What `dot` of row i is relative to.
template <typename T>
double origin_of(const Problem<T>& problem, const Sums<T>& sums, int64_t i) {
    return problem.wide ? sums.peak[i] : problem.centre;
}

// The derivative of the loss of row i by beta: the mean similarity of its candidates under the
// softmax, less that of its positives.
template <typename T>
double slope_of(const Problem<T>& problem, const Sums<T>& sums, int64_t i, int64_t positives,
                double loss, bool decoupled) {
    const double origin = origin_of(problem, sums, i);
    if (problem.positives == Positives::labelled) {
        const double sum = sums.sum[i] + sums.positive_sum[i];
        if (positives == 0) return 0 * sum;
        const double positive = sums.positives[i] / static_cast<double>(positives);
        return sums.dot[i] / sum + (origin - positive);
    }
    if (sums.sum[i] == 0) return 0 * sums.positive[i];  // nothing to choose from, but nan stays
    // The mean over the negatives, times their probability.
    return (decoupled ? 1 : -std::expm1(-loss)) *
           (sums.dot[i] / sums.sum[i] + (origin - sums.positive[i]));
}

// Entropy of the softmax over the candidates of row i.
template <typename T>
double entropy_of(const Problem<T>& problem, const Sums<T>& sums, int64_t i) {
    double sum = sums.sum[i] + sums.positive_sum[i];
    double dot = sums.dot[i] + (origin_of(problem, sums, i) - sums.peak[i]) * sum;
    if (problem.positives != Positives::labelled) {  // the positive is still to be added
        const double peak = std::max(sums.peak[i], sums.positive[i]);
        const double shift = sums.peak[i] - peak, shrink = std::exp(problem.beta * shift);
        const double own = sums.positive[i] - peak, exponential = std::exp(problem.beta * own);
        dot = sum == 0 ? own * exponential : (dot + shift * sum) * shrink + own * exponential;
        sum = sum * shrink + exponential;
    }
    if (sums.sum[i] == 0 && sums.positive_sum[i] == 0) return 0;  // nothing to choose from
    return std::log(sum) - problem.beta * dot / sum;
}

// Row i of the queries and its given positive, both as the loss sees them.
struct GivenPair {
    GivenPair(const Reader& queries, const Reader& positives, int64_t i, int64_t D)
        : query(D), positive(D) {
        queries.read(i, query.data());
        positive_factor = positives.read(i, positive.data());
    }

    std::vector<double> query, positive;
    double positive_factor;
};

template <typename T>
ForwardResult forward_as(const Loss& loss, bool stats, bool slope, int64_t kept) {
    const PreparedLoss<T> prepared(loss, stats || slope, false);
    const Problem<T>& problem = prepared.problem;
    ForwardResult result{
        empty({prepared.losses()}, dtype_of<T>), empty({prepared.losses()}, ScalarType::Double),
        empty({slope ? prepared.losses() : 0}, ScalarType::Double), pooled(kept, dtype_of<T>),
        empty({2, stats ? prepared.losses() : 0}, dtype_of<T>)};
    const int64_t N = prepared.rows.count(), tile = problem.block * problem.block;
    if (N == 0) return result;

    const int64_t padded = prepared.padded(problem.rows);
    SumsMemory<T> column_memory(problem, problem.both ? prepared.padded(problem.columns) : 0);
    T* kept_tiles = data<T>(result.kept);
    const auto finish = [&](const Sums<T>& sums, int64_t count, int64_t first) {
        for_each_row(count, [&](int64_t i) {
            const int64_t positives =
                problem.positives == Positives::labelled ? prepared.positives(i) : 1;
            const RowLoss row = loss_of(problem, sums, i, positives, loss.decoupled);
            data<T>(result.loss)[first + i] = static_cast<T>(row.loss);
            data<double>(result.log_sum_exp)[first + i] = row.log_sum_exp;
            if (slope) {
                data<double>(result.slope)[first + i] =
                    slope_of(problem, sums, i, positives, row.loss, loss.decoupled);
            }
            if (stats) {
                T* to = data<T>(result.stats);
                to[first + i] = is_correct(problem, sums, i);
                to[prepared.losses() + first + i] = static_cast<T>(entropy_of(problem, sums, i));
            }
        });
    };
    prepared.with_schedule([&](const auto& schedule, int64_t replicas) {
        SumsMemory<T> memory(problem, replicas * padded);
        const int64_t threads = workers(schedule);
        const Aligned<T> scratch(threads * prepared.tiles.forward_scratch);
        run(schedule, threads, [&](int64_t worker, int64_t t, const Task& task) {
            const Sums<T> rows = memory.from(prepared.replica_offset(task));
            const Sums<T> columns = problem.self ? rows : column_memory.from(0);
            prepared.for_each_tile(t, task, [&](int64_t number, int64_t row, int64_t column) {
                prepared.tiles.forward(
                    problem, row, column, rows, columns,
                    scratch.get() + worker * prepared.tiles.forward_scratch,
                    (number + 1) * tile <= kept ? kept_tiles + number * tile : nullptr);
            });
        });
        if (replicas > 1) {
            for_each_row(N, [&](int64_t i) {
                for (int64_t r = 1; r < replicas; ++r) {
                    memory.merge(problem.scale, i, r * padded + i);
                }
            });
        }
        const Sums<T> sums = memory.from(0);
        if (loss.given) {
            const Stack given({*loss.given});
            const Reader queries = prepared.reader(prepared.rows),
                         positives = prepared.reader(given);
            for_each_row(N, [&](int64_t i) {
                const GivenPair pair(queries, positives, i, problem.D);
                sums.positive[i] =
                    static_cast<T>(dot_product(pair.query.data(), pair.positive.data(), problem.D));
            });
        }
        finish(sums, N, 0);
    });
    if (problem.both) finish(column_memory.from(0), prepared.columns.count(), N);
    return result;
}

// Memory for Weights.
template <typename T>
class WeightsMemory {
  public:
    // All zero until set: columns that no loss looks from stay so.
    WeightsMemory(const Problem<T>& problem, int64_t padded) {
        for (auto* vector : {&unshifted_, &for_positives_, &share_}) vector->resize(padded);
        for (auto* vector : {&upstream_, &peak_, &rest_}) vector->resize(problem.wide ? padded : 0);
        missing_.resize(padded);
    }

    void set(const Problem<T>& problem, int64_t i, double grad, double loss, double log_sum_exp,
             int64_t positives, bool decoupled) {
        // Without positives, or decoupled without negatives, its loss depends on nothing.
        if (positives == 0 || log_sum_exp == -kInfinity) {
            if (problem.wide) rest_[i] = static_cast<T>(-kMasked);  // exponentials are 0, not inf
            return;
        }
        missing_[i] = static_cast<T>(decoupled ? grad + 0 * log_sum_exp  // nan stays
                                               : -grad * std::expm1(-loss));
        if (problem.wide) {
            upstream_[i] = static_cast<T>(grad);
            peak_[i] = static_cast<T>(log_sum_exp / problem.beta);
            rest_[i] =
                static_cast<T>((log_sum_exp - problem.beta * static_cast<double>(peak_[i])) / kLn2);
        } else {
            unshifted_[i] = static_cast<T>(grad * std::exp(-log_sum_exp));
        }
        const bool single = positives == 1;
        for_positives_[i] = single ? T(0) : problem.wide ? upstream_[i] : unshifted_[i];
        share_[i] = single ? missing_[i] : static_cast<T>(grad / static_cast<double>(positives));
    }

    double missing(int64_t i) const { return missing_[i]; }

    Weights<T> view() const {
        return {unshifted_.data(), upstream_.data(),      peak_.data(), rest_.data(),
                missing_.data(),   for_positives_.data(), share_.data()};
    }

  private:
    std::vector<T> unshifted_, upstream_, peak_, rest_, missing_, for_positives_, share_;
};

template <typename T>
BackwardResult backward_as(const Loss& loss, const Tensor& grad, const ForwardResult& saved,
                           bool column_gradients) {
    const PreparedLoss<T> prepared(loss, false, true);
    const Problem<T>& problem = prepared.problem;
    BackwardResult result;
    result.rows = gradients_like(loss.rows);
    if (column_gradients) result.columns = gradients_like(loss.columns);
    if (loss.given) result.given = gradients_like({*loss.given})[0];
    const int64_t N = prepared.rows.count(), D = problem.D, stride = problem.stride;
    if (N == 0) {
        for (Tensor& gradient : result.columns) torch::stable::zero_(gradient);
        result.temperature = number_like(loss.temperature, 0);
        return result;
    }
    const int64_t padded = prepared.padded(problem.rows);
    const int64_t padded_columns = prepared.padded(problem.columns);
    const int64_t tile = problem.block * problem.block;

    WeightsMemory<T> row_weights(problem, padded);
    WeightsMemory<T> column_weights(problem, problem.self ? 0 : padded_columns);
    const T* grads = data<T>(grad);
    const int64_t step = grad.stride(0);  // 0 under a mean or a sum
    for_each_row(prepared.losses(), [&](int64_t i) {
        const bool is_row = i < N;
        const int64_t positives =
            problem.positives == Positives::labelled ? prepared.positives(i) : 1;
        (is_row ? row_weights : column_weights)
            .set(problem, is_row ? i : i - N, grads[i * step], data<T>(saved.loss)[i],
                 data<double>(saved.log_sum_exp)[i], positives, loss.decoupled);
    });
    const Weights<T> of_rows = row_weights.view();
    const Weights<T> of_columns = problem.self ? of_rows : column_weights.view();

    Aligned<T> column_out;
    if (column_gradients) column_out = zeros<T>(padded_columns, stride);
    const T* kept = data<T>(saved.kept);
    const int64_t kept_tiles = saved.kept.numel() / tile;
    const auto two_rows = [D] { return std::pair(std::vector<double>(D), std::vector<double>(D)); };
    prepared.with_schedule([&](const auto& schedule, int64_t replicas) {
        const Aligned<T> row_out = zeros<T>(replicas * padded, stride);
        const int64_t threads = workers(schedule);
        const Aligned<T> scratch(threads * prepared.tiles.backward_scratch);
        run(schedule, threads, [&](int64_t worker, int64_t t, const Task& task) {
            T* rows = row_out.get() + prepared.replica_offset(task) * stride;
            T* columns = problem.self ? rows : column_out.get();
            prepared.for_each_tile(t, task, [&](int64_t number, int64_t row, int64_t column) {
                const bool both = columns != nullptr && !(problem.self && row == column);
                prepared.tiles.backward(problem, row, column, of_rows, of_columns,
                                        rows + row * problem.block * stride,
                                        both ? columns + column * problem.block * stride : nullptr,
                                        scratch.get() + worker * prepared.tiles.backward_scratch,
                                        number < kept_tiles ? kept + number * tile : nullptr);
            });
        });
        const Stack out(result.rows);
        const Reader reader = prepared.reader(prepared.rows);
        std::optional<Stack> given, given_out;
        if (loss.given) {
            given.emplace(std::vector{*loss.given});
            given_out.emplace(std::vector{*result.given});
        }
        for_each_row(N, two_rows, [&](int64_t i, auto& scratch) {
            auto& [row, sum] = scratch;
            std::fill(sum.begin(), sum.end(), 0);
            for (int64_t r = 0; r < replicas; ++r) {
                const T* part = row_out.get() + (r * padded + i) * stride;
                add(part, sum.data(), D);
            }
            const double factor = reader.read(i, row.data());
            if (given) {
                const GivenPair pair(reader, prepared.reader(*given), i, D);
                const double missing = row_weights.missing(i);
                std::vector<double> positive_grad(D);
                for (int64_t d = 0; d < D; ++d) {
                    sum[d] -= missing * pair.positive[d];
                    positive_grad[d] = -missing * pair.query[d];
                }
                project(positive_grad.data(), pair.positive.data(), loss.normalize, D);
                given_out->write(i, positive_grad.data(), problem.beta * pair.positive_factor);
            }
            project(sum.data(), row.data(), loss.normalize, D);
            out.write(i, sum.data(), problem.beta * factor);
        });
    });
    if (column_gradients) {
        const Stack out(result.columns);
        const Reader reader = prepared.reader(prepared.columns);
        for_each_row(prepared.columns.count(), two_rows, [&](int64_t j, auto& scratch) {
            auto& [row, sum] = scratch;
            std::copy_n(column_out.get() + j * stride, D, sum.begin());
            const double factor = reader.read(j, row.data());
            project(sum.data(), row.data(), loss.normalize, D);
            out.write(j, sum.data(), problem.beta * factor);
        });
    }
    // The gradient of the temperature is -beta^2 times that of beta.
    const double* const slopes = data<double>(saved.slope);
    double total = saved.slope.numel() == 0 ? kNaN : 0;
    for (int64_t i = 0; i < saved.slope.numel(); ++i) total += grads[i * step] * slopes[i];
    result.temperature = number_like(loss.temperature, -problem.beta * problem.beta * total);
    return result;
}

}  // namespace

ForwardResult forward(const Loss& loss, bool stats, bool slope, int64_t kept) {
    return loss.rows[0].scalar_type() == ScalarType::Double
               ? forward_as<double>(loss, stats, slope, kept)
               : forward_as<float>(loss, stats, slope, kept);
}

BackwardResult backward(const Loss& loss, const Tensor& grad, const ForwardResult& saved,
                        bool column_gradients) {
    return loss.rows[0].scalar_type() == ScalarType::Double
               ? backward_as<double>(loss, grad, saved, column_gradients)
               : backward_as<float>(loss, grad, saved, column_gradients);
}

}  // namespace lelkern::contrastive
