// NT-Xent (SimCLR, Chen et al. 2020, equation 1) on the CPU without the M x M similarity matrix.

#include "cpu/nt_xent.h"

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <tuple>

#include "common/cpu_isa.h"
#include "common/rows.h"

#define LELKERN_TILES "cpu/nt_xent_tiles.h"
#include "common/foreach_isa.h"

namespace lelkern {
namespace {

using nt_xent::Batch;
using nt_xent::Saved;
using nt_xent::Weights;

constexpr double kEps = 1e-12;  // a row with a smaller norm counts as zero: similar to nothing

// The tiles of the chosen instruction set.
template <typename T>
struct Kernels {
    int width;
    int64_t rows;
    void (*forward)(const Batch<T>&, int64_t, Saved<T>);
    void (*backward)(const Batch<T>&, const Weights<T>&, int64_t, T*);

    template <typename Tiles>
    static Kernels of() {
        return {Tiles::width, Tiles::rows, Tiles::forward, Tiles::backward};
    }
};

template <typename T>
Kernels<T> kernels() {
    switch (cpu_isa()) {
#if defined(__x86_64__)
        case Isa::avx512:
            return Kernels<T>::template of<avx512::Tiles<T>>();
        case Isa::avx2:
            return Kernels<T>::template of<avx2::Tiles<T>>();
#endif
        default:
            return Kernels<T>::template of<baseline::Tiles<T>>();
    }
}

double inverse_norm(double norm) {
    if (std::isinf(norm)) return std::numeric_limits<double>::quiet_NaN();  // never a silent zero
    return norm < kEps ? 0 : 1 / norm;
}

// Owns the workspace of a Batch: 2 M D numbers.
template <typename T>
class Workspace {
  public:
    // Fills inverse_norms (M,) on the way.
    Workspace(const Tensor& z1, const Tensor& z2, double temperature, const Kernels<T>& kernels,
              double* inverse_norms) {
        const int64_t N = z1.size(0), M = 2 * N, D = z1.size(1);
        const int width = kernels.width;
        // Blocks of rows start at multiples of kernels.rows and may reach beyond the last row.
        const int64_t padded_M = nt_xent::round_up(M + kernels.rows, nt_xent::kPadding);
        const int64_t padded_D = nt_xent::round_up(D, nt_xent::kPadding / 2);
        rows_.resize(padded_M * padded_D);
        panels_.resize(padded_M * D);
        const double beta = temperature > 0 && std::isfinite(temperature)
                                ? 1 / temperature
                                : std::numeric_limits<double>::quiet_NaN();
        batch = {M, D, padded_M, padded_D, beta, rows_.data(), panels_.data()};
        torch::stable::parallel_for(0, M, 64, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                T* row = rows_.data() + i * padded_D;
                read_row(i < N ? z1 : z2, i < N ? i : i - N, row);
                double squares = 0;  // in double: a float row cannot overflow it
                for (int64_t d = 0; d < D; ++d) squares += static_cast<double>(row[d]) * row[d];
                inverse_norms[i] = inverse_norm(std::sqrt(squares));
                T* panel = panels_.data() + i / width * width * D + i % width;
                for (int64_t d = 0; d < D; ++d) {
                    row[d] = static_cast<T>(row[d] * inverse_norms[i]);
                    panel[d * width] = row[d];
                }
            }
        });
    }

    Batch<T> batch;

  private:
    std::vector<T> rows_, panels_;
};

template <typename T>
void forward(const Tensor& z1, const Tensor& z2, double temperature, Saved<T> saved,
             double* inverse_norms) {
    const auto tiles = kernels<T>();
    const Workspace<T> workspace(z1, z2, temperature, tiles, inverse_norms);
    const Batch<T>& batch = workspace.batch;
    const int64_t blocks = (batch.M + tiles.rows - 1) / tiles.rows;
    torch::stable::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) tiles.forward(batch, b * tiles.rows, saved);
    });
}

template <typename T>
Weights<T> weights_of(const Batch<T>& batch, const Tensor& grad, const T* loss,
                      const double* log_sum_exp) {
    Weights<T> weights;
    // exp(beta) and grad * exp(beta) stay far from overflow below this.
    weights.one_exp = batch.beta <= (std::is_same_v<T, double> ? 600 : 60);
    weights.missing.resize(batch.padded_M);
    if (weights.one_exp) {
        weights.unshifted.resize(batch.padded_M);
    } else {
        for (auto* vector : {&weights.upstream, &weights.peak, &weights.rest}) {
            vector->resize(batch.padded_M);
        }
    }
    const T* grads = static_cast<const T*>(grad.const_data_ptr());
    const int64_t step = grad.stride(0);  // 0 under a mean or a sum
    for (int64_t i = 0; i < batch.M; ++i) {
        const double g = grads[i * step], lse = log_sum_exp[i];
        weights.missing[i] = static_cast<T>(-g * std::expm1(-static_cast<double>(loss[i])));
        if (weights.one_exp) {
            weights.unshifted[i] = static_cast<T>(g * std::exp(-lse));
        } else {
            weights.upstream[i] = static_cast<T>(g);
            weights.peak[i] = static_cast<T>(lse / batch.beta);
            weights.rest[i] =
                static_cast<T>(lse - batch.beta * static_cast<double>(weights.peak[i]));
        }
    }
    return weights;
}

// Returns the gradient with respect to the temperature.
template <typename T>
double backward(const Tensor& grad, const Tensor& z1, const Tensor& z2, double temperature,
                const T* loss, const double* log_sum_exp, const Tensor& grad_z1,
                const Tensor& grad_z2) {
    const auto tiles = kernels<T>();
    std::vector<double> inverse_norms(2 * z1.size(0)), along(2 * z1.size(0));
    const Workspace<T> workspace(z1, z2, temperature, tiles, inverse_norms.data());
    const Batch<T>& batch = workspace.batch;
    const Weights<T> weights = weights_of(batch, grad, loss, log_sum_exp);
    const int64_t N = batch.M / 2, D = batch.D;
    const int64_t blocks = (batch.M + tiles.rows - 1) / tiles.rows;
    torch::stable::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
        std::vector<T> out(tiles.rows * batch.padded_D);
        for (int64_t b = begin; b < end; ++b) {
            tiles.backward(batch, weights, b * tiles.rows, out.data());
            const int64_t last = std::min((b + 1) * tiles.rows, batch.M);
            for (int64_t i = b * tiles.rows; i < last; ++i) {
                // Through u = z / |z|: dz = (du - u (u . du)) / |z|.
                const T* unit = batch.rows + i * batch.padded_D;
                T* row = out.data() + (i - b * tiles.rows) * batch.padded_D;
                double dot = 0;
                for (int64_t d = 0; d < D; ++d) dot += static_cast<double>(unit[d]) * row[d];
                along[i] = dot;
                const double scale = batch.beta * inverse_norms[i];
                for (int64_t d = 0; d < D; ++d) {
                    row[d] = static_cast<T>(scale * (row[d] - dot * unit[d]));
                }
                write_row(i < N ? grad_z1 : grad_z2, i < N ? i : i - N, row);
            }
        }
    });
    // The loss depends on beta only through beta z_i . z_j, so scaling beta is scaling all unit
    // rows by its square root: beta dL/dbeta = sum_i z_i . (beta G z)_i / 2.
    double total = 0;
    for (const double dot : along) total += dot;
    return -0.5 * batch.beta * batch.beta * total;
}

Tensor empty(std::initializer_list<int64_t> sizes, ScalarType dtype) {
    return torch::stable::empty({sizes.begin(), sizes.size()}, dtype);
}

template <typename T>
T* data(const Tensor& tensor) {
    return static_cast<T*>(tensor.mutable_data_ptr());
}

ScalarType accumulation_dtype(const Tensor& z) {
    return z.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

// The public function explains its errors; these keep a direct call of the op inside its memory.
void check_embeddings(const Tensor& z1, const Tensor& z2, const Tensor& temperature) {
    STD_TORCH_CHECK(
        z1.dim() == 2 && z2.dim() == 2 && z1.size(0) == z2.size(0) && z1.size(1) == z2.size(1),
        "z1 and z2 must be (N, D), both alike");
    STD_TORCH_CHECK(z1.scalar_type() == z2.scalar_type(), "z2 must have the dtype of z1");
    STD_TORCH_CHECK(temperature.numel() == 1, "temperature must have one element");
}

void check_rows(const char* name, const Tensor& rows, int64_t M, ScalarType dtype) {
    STD_TORCH_CHECK(rows.dim() == 1 && rows.size(0) == M && rows.scalar_type() == dtype, name,
                    " must be (2N,) and ", torch::headeronly::toString(dtype));
}

// -> losses (M,) in the accumulation dtype, log-sum-exps (M,) in float64
std::tuple<Tensor, Tensor> nt_xent_forward(const Tensor& z1, const Tensor& z2,
                                           const Tensor& temperature) {
    check_embeddings(z1, z2, temperature);
    const int64_t M = 2 * z1.size(0);
    Tensor loss = empty({M}, accumulation_dtype(z1));
    Tensor log_sum_exp = empty({M}, ScalarType::Double);
    std::vector<double> inverse_norms(M);
    const double tau = read_scalar(temperature);
    if (loss.scalar_type() == ScalarType::Double) {
        forward<double>(z1, z2, tau, {data<double>(loss), data<double>(log_sum_exp)},
                        inverse_norms.data());
    } else {
        forward<float>(z1, z2, tau, {data<float>(loss), data<double>(log_sum_exp)},
                       inverse_norms.data());
    }
    return {loss, log_sum_exp};
}

// -> gradients of z1, z2 and temperature, each in its dtype
std::tuple<Tensor, Tensor, Tensor> nt_xent_backward(const Tensor& grad, const Tensor& z1,
                                                    const Tensor& z2, const Tensor& temperature,
                                                    const Tensor& loss, const Tensor& log_sum_exp) {
    check_embeddings(z1, z2, temperature);
    const int64_t N = z1.size(0), D = z1.size(1);
    check_rows("grad", grad, 2 * N, accumulation_dtype(z1));
    check_rows("loss", loss, 2 * N, accumulation_dtype(z1));
    check_rows("log_sum_exp", log_sum_exp, 2 * N, ScalarType::Double);
    STD_TORCH_CHECK(loss.is_contiguous() && log_sum_exp.is_contiguous(),
                    "loss and log_sum_exp must be as forward returned them");
    Tensor grad_z1 = empty({N, D}, z1.scalar_type());
    Tensor grad_z2 = empty({N, D}, z2.scalar_type());
    const double tau = read_scalar(temperature);
    const auto* lse = data<double>(log_sum_exp);
    const double slope =
        loss.scalar_type() == ScalarType::Double
            ? backward(grad, z1, z2, tau, data<double>(loss), lse, grad_z1, grad_z2)
            : backward(grad, z1, z2, tau, data<float>(loss), lse, grad_z1, grad_z2);
    return {grad_z1, grad_z2, torch::stable::full({}, slope, temperature.scalar_type())};
}

}  // namespace
}  // namespace lelkern

STABLE_TORCH_LIBRARY_IMPL(lelkern, CPU, m) {
    m.impl("nt_xent", TORCH_BOX(&lelkern::nt_xent_forward));
    m.impl("nt_xent_backward", TORCH_BOX(&lelkern::nt_xent_backward));
}
