// The engine below SigLIP: decisions on all pairs, one tile of them at a time.

#include <cmath>
#include <limits>
#include <utility>

#include "contrastive/common/siglip_op.h"
#include "contrastive/cpu/contrastive_prepared.h"
#include "contrastive/cpu/contrastive_tensors.h"
#include "shared/cpu/read_scalar.h"

namespace lelkern::contrastive {
namespace {

template <typename T>
Logits<T> logits_of(const SigmoidLoss& loss) {
    const double scale = read_scalar(loss.scale);
    const bool valid = scale > 0 && std::isfinite(scale);
    return {valid ? static_cast<T>(scale) : std::numeric_limits<T>::quiet_NaN(),
            static_cast<T>(read_scalar(loss.bias))};
}

template <typename T>
SigmoidForward forward_as(const SigmoidLoss& loss, int64_t kept) {
    const Prepared<T> prepared(loss, false);
    const Problem<T>& problem = prepared.problem;
    const Logits<T> logits = logits_of<T>(loss);
    const int64_t N = prepared.rows.count(), tile = problem.block * problem.block;
    SigmoidForward result{empty({N}, dtype_of<T>), empty({2, N}, dtype_of<T>),
                          pooled(kept, dtype_of<T>)};
    if (N == 0) return result;

    const int64_t padded = prepared.padded(problem.rows);
    T* kept_tiles = data<T>(result.kept);
    prepared.with_schedule([&](const auto& schedule, int64_t replicas) {
        const int64_t size = replicas * padded;
        std::vector<double> memory(3 * size, 0);
        const DecisionSums sums{memory.data(), memory.data() + size, memory.data() + 2 * size};
        const int64_t threads = workers(schedule);
        const Aligned<T> scratch(threads * prepared.tiles.forward_scratch);
        run(schedule, threads, [&](int64_t worker, int64_t t, const Task& task) {
            const DecisionSums rows = sums.from(prepared.replica_offset(task));
            prepared.for_each_tile(t, task, [&](int64_t number, int64_t row, int64_t column) {
                prepared.tiles.forward_decisions(
                    problem, logits, row, column, rows,
                    scratch.get() + worker * prepared.tiles.forward_scratch,
                    (number + 1) * tile <= kept ? kept_tiles + number * tile : nullptr);
            });
        });
        const std::pair<const double*, T*> fields[] = {{sums.loss, data<T>(result.loss)},
                                                       {sums.by_bias, data<T>(result.slopes)},
                                                       {sums.by_scale, data<T>(result.slopes) + N}};
        for (const auto& [from, to] : fields) {
            for (int64_t i = 0; i < N; ++i) {
                double sum = 0;
                for (int64_t r = 0; r < replicas; ++r) sum += from[r * padded + i];
                to[i] = static_cast<T>(sum);
            }
        }
    });
    return result;
}

// The gradients of embeddings, of which `sum(i, out)` adds up those of packed row i.
template <typename T, typename Sum>
Tensor gradients_of(const Prepared<T>& prepared, const Stack& embeddings, const Tensor& like,
                    bool normalize, double scale, const Sum& sum) {
    const std::vector<Tensor> gradients = gradients_like({like});
    const Stack out(gradients);
    const Reader reader = prepared.reader(embeddings);
    const int64_t D = embeddings.D();
    const auto two_rows = [D] { return std::pair(std::vector<double>(D), std::vector<double>(D)); };
    for_each_row(embeddings.count(), two_rows, [&](int64_t i, auto& scratch) {
        auto& [row, gradient] = scratch;
        std::fill(gradient.begin(), gradient.end(), 0);
        sum(i, gradient.data());
        const double factor = reader.read(i, row.data());
        project(gradient.data(), row.data(), normalize, D);
        out.write(i, gradient.data(), scale * factor);
    });
    return gradients[0];
}

template <typename T>
SigmoidGradients backward_as(const SigmoidLoss& loss, const Tensor& grad, const Tensor& slopes,
                             const Tensor& saved, bool column_gradients) {
    const Prepared<T> prepared(loss, true);
    const Problem<T>& problem = prepared.problem;
    const Logits<T> logits = logits_of<T>(loss);
    const int64_t N = prepared.rows.count(), D = problem.D, stride = problem.stride;
    const int64_t padded = prepared.padded(problem.rows);
    const int64_t padded_columns = prepared.padded(problem.columns);
    const int64_t tile = problem.block * problem.block;

    std::vector<T> upstream(padded, T(0));
    double by_bias = 0, by_scale = 0;
    for (int64_t i = 0; i < N; ++i) {
        upstream[i] = data<T>(grad)[i * grad.stride(0)];
        const double g = upstream[i];
        by_bias += g * data<T>(slopes)[i];
        by_scale += g * data<T>(slopes)[N + i];
    }
    SigmoidGradients result{gradients_like(loss.rows)[0], std::nullopt,
                            number_like(loss.scale, by_scale), number_like(loss.bias, by_bias)};
    Aligned<T> column_out;
    if (column_gradients) column_out = zeros<T>(padded_columns, stride);
    const T* kept = data<T>(saved);
    const int64_t kept_tiles = saved.numel() / tile;
    if (N > 0) {
        prepared.with_schedule([&](const auto& schedule, int64_t replicas) {
            const Aligned<T> row_out = zeros<T>(replicas * padded, stride);
            const int64_t threads = workers(schedule);
            const Aligned<T> scratch(threads * prepared.tiles.backward_scratch);
            run(schedule, threads, [&](int64_t worker, int64_t t, const Task& task) {
                T* rows = row_out.get() + prepared.replica_offset(task) * stride;
                prepared.for_each_tile(t, task, [&](int64_t number, int64_t row, int64_t column) {
                    T* columns = column_gradients
                                     ? column_out.get() + column * problem.block * stride
                                     : nullptr;
                    prepared.tiles.backward_decisions(
                        problem, logits, row, column, upstream.data(),
                        rows + row * problem.block * stride, columns,
                        scratch.get() + worker * prepared.tiles.backward_scratch,
                        number < kept_tiles ? kept + number * tile : nullptr);
                });
            });
            result.rows =
                gradients_of(prepared, prepared.rows, loss.rows[0], loss.normalize, logits.scale,
                             [&](int64_t i, double* out) {
                                 for (int64_t r = 0; r < replicas; ++r) {
                                     add(row_out.get() + (r * padded + i) * stride, out, D);
                                 }
                             });
        });
    }
    if (column_gradients) {
        result.columns = gradients_of(
            prepared, prepared.columns, loss.columns[0], loss.normalize, logits.scale,
            [&](int64_t j, double* out) { add(column_out.get() + j * stride, out, D); });
    }
    return result;
}

}  // namespace

SigmoidForward forward(const SigmoidLoss& loss, int64_t kept) {
    return loss.rows[0].scalar_type() == ScalarType::Double ? forward_as<double>(loss, kept)
                                                            : forward_as<float>(loss, kept);
}

SigmoidGradients backward(const SigmoidLoss& loss, const Tensor& grad, const Tensor& slopes,
                          const Tensor& kept, bool column_gradients) {
    return loss.rows[0].scalar_type() == ScalarType::Double
               ? backward_as<double>(loss, grad, slopes, kept, column_gradients)
               : backward_as<float>(loss, grad, slopes, kept, column_gradients);
}

}  // namespace lelkern::contrastive
