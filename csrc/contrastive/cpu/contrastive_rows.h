// Embeddings as the tiles want them: normalised, padded, and packed in words.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/headeronly/util/BFloat16.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "contrastive/cpu/aligned.h"
#include "contrastive/cpu/contrastive.h"
#include "contrastive/cpu/rows.h"

namespace lelkern::contrastive {

constexpr double kEps = 1e-12;  // a row with a smaller norm counts as zero: similar to nothing

inline int64_t round_up(int64_t value, int64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

// One tensor, or the two that NT-Xent stacks, as one matrix.
class Stack {
  public:
    explicit Stack(const std::vector<Tensor>& parts) : D_(parts[0].size(1)) {
        for (const Tensor& part : parts) parts_.emplace_back(part);
        for (const Rows& part : parts_) count_ += part.count();
    }

    int64_t count() const { return count_; }
    int64_t D() const { return D_; }

    void read(int64_t i, double* out) const {
        const int64_t first = parts_[0].count();
        i < first ? parts_[0].read(i, out) : parts_[1].read(i - first, out);
    }

    void write(int64_t i, const double* in, double factor) const {
        const int64_t first = parts_[0].count();
        i < first ? parts_[0].write(i, in, factor) : parts_[1].write(i - first, in, factor);
    }

  private:
    std::vector<Rows> parts_;
    int64_t count_ = 0, D_;
};

// In double, which a float row cannot overflow.
inline double norm_of(const double* row, int64_t D) { return std::sqrt(dot_product(row, row, D)); }

inline double inverse_of(double norm) {
    if (std::isinf(norm)) return std::numeric_limits<double>::quiet_NaN();  // never a silent zero
    return norm < kEps ? 0 : 1 / norm;
}

// Reads rows as the loss sees them: rounded to bfloat16 where that is asked for, and normalised.
class Reader {
  public:
    Reader(const Stack& rows, bool normalize, bool bf16)
        : rows_(rows), normalize_(normalize), bf16_(bf16) {}

    // out[0..D) = row i before it is normalised; returns what to multiply it by.
    double read_raw(int64_t i, double* out) const {
        rows_.read(i, out);
        const int64_t D = rows_.D();
        if (bf16_) {
            for (int64_t d = 0; d < D; ++d) {
                out[d] = static_cast<float>(c10::BFloat16(static_cast<float>(out[d])));
            }
        }
        return normalize_ ? inverse_of(norm_of(out, D)) : 1;
    }

    // out[0..D) = row i; returns what it was multiplied by.
    double read(int64_t i, double* out) const {
        const double factor = read_raw(i, out);
        if (normalize_) scale(out, factor, out, rows_.D());
        return factor;
    }

  private:
    const Stack& rows_;
    bool normalize_, bf16_;
};

// Owns the words of one side.
template <typename T>
class Packed {
  public:
    // `with_rows`: backward needs them.
    Packed(const Kernels<T>& kernels, const Stack& stack, const Problem<T>& problem, bool normalize,
           bool with_rows)
        : width_(kernels.panel_width), D_(stack.D()), normalize_(normalize), bf16_(kernels.bf16) {
        const int64_t blocks = (stack.count() + problem.block - 1) / problem.block;
        const int64_t padded = blocks * problem.block, panels = padded / width_;
        panels_ = Aligned<T>(padded * problem.words);
        if (with_rows) rows_ = Aligned<T>(padded / (bf16_ ? 2 : 1) * problem.stride);
        if (bf16_) inverse_norms_ = Aligned<T>(padded);
        std::vector<double> largest(panels, 0);
        torch::stable::parallel_for(0, panels, 1, [&](int64_t begin, int64_t end) {
            std::vector<double> row(D_);
            std::vector<T> panel(width_ * D_);
            for (int64_t p = begin; p < end; ++p) {
                for (int64_t r = 0; r < width_; ++r) {
                    read(stack, p * width_ + r, row.data(), panel.data() + r * D_, largest[p]);
                }
                bf16_ ? pack_pairs(panel.data(), p, problem) : pack(panel.data(), p, problem);
            }
        });
        for (const double norm : largest) largest_ = larger(largest_, norm);
        side = {stack.count(),        blocks,  panels_.get(), rows_.get(),
                inverse_norms_.get(), nullptr, nullptr};
    }

    // No row has a larger norm.
    double largest_norm() const { return normalize_ ? 1 : largest_; }

    Side<T> side;

  private:
    // Of which NaN is the largest.
    static double larger(double a, double b) { return b <= a ? a : b; }

    void read(const Stack& stack, int64_t i, double* row, T* out, double& largest) const {
        if (i >= stack.count()) {
            std::fill_n(out, D_, T(0));
            if (bf16_) inverse_norms_[i] = 0;
            return;
        }
        double factor = Reader(stack, normalize_, bf16_).read_raw(i, row);
        if (!normalize_) largest = larger(largest, norm_of(row, D_));
        if (bf16_) {
            // By a power of 2, which rounds nothing, to a norm of 1/2 to 1.
            const double near = factor > 0 ? std::exp2(std::floor(std::log2(factor))) : 1;
            inverse_norms_[i] = static_cast<T>(factor / near);
            factor = near;
        }
        scale(row, factor, out, D_);
    }

    void pack(const T* panel, int64_t p, const Problem<T>& problem) const {
        T* to = panels_.get() + p * width_ * problem.words;
        transpose(panel, width_, D_, to);
        if (rows_.get() == nullptr) return;
        for (int64_t r = 0; r < width_; ++r) {
            T* row = rows_.get() + (p * width_ + r) * problem.stride;
            std::copy_n(panel + r * D_, D_, row);
            std::fill(row + D_, row + problem.padded_D, T(0));
        }
    }

    void pack_pairs(const T* panel, int64_t p, const Problem<T>& problem) const {
        const auto pair = [](T low, T high) {
            return static_cast<uint32_t>(c10::BFloat16(static_cast<float>(low)).x) |
                   static_cast<uint32_t>(c10::BFloat16(static_cast<float>(high)).x) << 16;
        };
        auto* to = reinterpret_cast<uint32_t*>(panels_.get()) + p * width_ * problem.words;
        for (int64_t d = 0; d < D_; d += 2) {
            for (int64_t r = 0; r < width_; ++r) {
                const T* at = panel + r * D_ + d;
                to[d / 2 * width_ + r] = pair(at[0], d + 1 < D_ ? at[1] : T(0));
            }
        }
        if (rows_.get() == nullptr) return;
        for (int64_t r = 0; r < width_; r += 2) {
            auto* row =
                reinterpret_cast<uint32_t*>(rows_.get()) + (p * width_ + r) / 2 * problem.stride;
            for (int64_t d = 0; d < D_; ++d) {
                row[d] = pair(panel[r * D_ + d], panel[(r + 1) * D_ + d]);
            }
            std::fill(row + D_, row + problem.padded_D, 0u);
        }
    }

    int64_t width_, D_;
    bool normalize_, bf16_;
    double largest_ = 0;
    Aligned<T> panels_, rows_, inverse_norms_;  // words of bfloat16 lie in them as bits
};

}  // namespace lelkern::contrastive
