// Sharpening and guessing on a CPU: one parallel region over the distributions.

#include "mixup/common/distributions.h"

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "mixup/cpu/row_kernels.h"
#include "shared/cpu/read_scalar.h"

namespace lelkern::mixup {
namespace {

constexpr int64_t kGrain = 4096;  // numbers that are worth waking a thread
constexpr int64_t kTile = 16;     // distributions that are gathered together, where they interleave

const char* data(const Tensor& tensor) { return static_cast<const char*>(tensor.const_data_ptr()); }

int64_t bytes_of(ScalarType dtype) {
    int64_t bytes = 0;
    dispatch_floating(dtype, [&](auto* type) { bytes = sizeof(*type); });
    return bytes;
}

// 1 / T as the kernels want it; nan for a temperature that is not a positive number.
double inverse(const Tensor& temperature, ScalarType dtype) {
    const double T = read_scalar(temperature);
    if (!(T > 0 && T < std::numeric_limits<double>::infinity())) {
        return std::numeric_limits<double>::quiet_NaN();
    }
    if (dtype == ScalarType::Double) {
        return std::min(1 / T, std::numeric_limits<double>::max());
    }
    using Limits = std::numeric_limits<float>;
    return std::clamp<double>(1 / T, Limits::min(), Limits::max());
}

struct alignas(64) CacheLine {  // no vector lies in two of them
    char bytes[64];
};

// Calls f(first, last, scratch) for parts of the units [0, count), each of so many numbers.
template <typename F>
void in_parallel(int64_t count, int64_t numbers, int64_t scratch_bytes, const F& f) {
    const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, numbers));
    torch::stable::parallel_for(0, count, grain, [&](int64_t first, int64_t last) {
        std::vector<CacheLine> scratch(scratch_bytes / sizeof(CacheLine) + 1);
        f(first, last, static_cast<void*>(scratch.data()));
    });
}

int64_t scratch_bytes(int64_t K, int64_t classes, ScalarType dtype) {
    return scratch_numbers(K, classes) * bytes_of(computed_in(dtype));
}

void write_temperature(const std::vector<double>& moved, const Tensor& temperature, Tensor& to) {
    const double T = read_scalar(temperature);
    double total = 0;  // in the order of the distributions, whatever thread had which
    for (const double each : moved) total += each;
    dispatch_floating(to.scalar_type(), [&](auto* type) {
        using Element = std::remove_pointer_t<decltype(type)>;
        *static_cast<Element*>(to.mutable_data_ptr()) = static_cast<Element>(-total / T / T);
    });
}

// Distributions that interleave, a tile of them at a time.
class Interleaved {
  public:
    Interleaved(const Layout& layout, int64_t bytes) : layout_(layout), bytes_(bytes) {}

    int64_t tiles_of_outer() const { return (layout_.inner + kTile - 1) / kTile; }
    int64_t tiles() const { return layout_.outer * tiles_of_outer(); }
    int64_t tile_bytes() const { return kTile * layout_.classes * bytes_; }
    int64_t first(int64_t tile) const {
        return tile / tiles_of_outer() * layout_.inner + tile % tiles_of_outer() * kTile;
    }
    int64_t count(int64_t tile) const {
        return std::min(kTile, layout_.inner - tile % tiles_of_outer() * kTile);
    }

    // To distributions side by side, one after the other.
    void gather(const char* from, int64_t tile, char* to) const {
        copy(tile, [&](auto* type, int64_t interleaved, int64_t beside) {
            using Word = std::remove_pointer_t<decltype(type)>;
            reinterpret_cast<Word*>(to)[beside] = reinterpret_cast<const Word*>(from)[interleaved];
        });
    }

    void scatter(const char* from, int64_t tile, char* to) const {
        copy(tile, [&](auto* type, int64_t interleaved, int64_t beside) {
            using Word = std::remove_pointer_t<decltype(type)>;
            reinterpret_cast<Word*>(to)[interleaved] = reinterpret_cast<const Word*>(from)[beside];
        });
    }

  private:
    template <typename F>
    void copy(int64_t tile, const F& f) const {
        const int64_t begin = tile / tiles_of_outer() * layout_.classes * layout_.inner +
                              tile % tiles_of_outer() * kTile;
        const auto copy_words = [&](auto* type) {
            for (int64_t c = 0; c < layout_.classes; ++c) {
                for (int64_t i = 0; i < count(tile); ++i) {
                    f(type, begin + c * layout_.inner + i, i * layout_.classes + c);
                }
            }
        };
        if (bytes_ == 2) {
            copy_words(static_cast<uint16_t*>(nullptr));
        } else if (bytes_ == 4) {
            copy_words(static_cast<uint32_t*>(nullptr));
        } else {
            copy_words(static_cast<uint64_t*>(nullptr));
        }
    }

    const Layout layout_;
    const int64_t bytes_;
};

// Calls f(number of the distribution, where each input's begins, where the output goes, scratch)
// for all distributions of tensors of one layout and dtype.
template <int inputs, typename F>
void for_each_distribution(const Layout& layout, ScalarType dtype,
                           const char* const (&from)[inputs], char* to, const F& f) {
    const int64_t n = layout.classes, bytes = bytes_of(dtype);
    const int64_t room = scratch_bytes(1, n, dtype);
    if (layout.inner == 1) {
        in_parallel(layout.outer, n, room, [&](int64_t first, int64_t last, void* scratch) {
            for (int64_t row = first; row < last; ++row) {
                const char* at[inputs];
                for (int i = 0; i < inputs; ++i) at[i] = from[i] + row * n * bytes;
                f(row, at, to + row * n * bytes, scratch);
            }
        });
        return;
    }
    const Interleaved all(layout, bytes);
    in_parallel(all.tiles(), kTile * n, room, [&](int64_t first, int64_t last, void* scratch) {
        std::vector<uint64_t> words((inputs + 1) * (all.tile_bytes() / sizeof(uint64_t) + 1));
        char* beside[inputs + 1];
        for (int i = 0; i <= inputs; ++i) {
            beside[i] = reinterpret_cast<char*>(words.data() + i * (words.size() / (inputs + 1)));
        }
        for (int64_t tile = first; tile < last; ++tile) {
            for (int i = 0; i < inputs; ++i) all.gather(from[i], tile, beside[i]);
            for (int64_t row = 0; row < all.count(tile); ++row) {
                const char* at[inputs];
                for (int i = 0; i < inputs; ++i) at[i] = beside[i] + row * n * bytes;
                f(all.first(tile) + row, at, beside[inputs] + row * n * bytes, scratch);
            }
            all.scatter(beside[inputs], tile, to);
        }
    });
}

// Calls f(b, the logits of image b, scratch) for all images of logits (K, B, C).
template <typename F>
void for_each_image(const Tensor& logits, const F& f) {
    const int64_t K = logits.size(0), B = logits.size(1), n = logits.size(2);
    const int64_t bytes = bytes_of(logits.scalar_type());
    const char* from = data(logits);
    in_parallel(B, K * n, scratch_bytes(K, n, logits.scalar_type()),
                [&](int64_t first, int64_t last, void* scratch) {
                    for (int64_t b = first; b < last; ++b) {
                        f(b, ImageLogits{from + b * n * bytes, K, B * n, n}, scratch);
                    }
                });
}

}  // namespace

void sharpen(const Tensor& x, const Tensor& temperature, const Layout& layout, bool logits,
             Tensor& to) {
    const RowKernels& kernels = row_kernels(x.scalar_type());
    const double beta = inverse(temperature, x.scalar_type());
    for_each_distribution(layout, x.scalar_type(), {data(x)},
                          static_cast<char*>(to.mutable_data_ptr()),
                          [&](int64_t, const char* const* from, char* row, void* scratch) {
                              kernels.sharpen(from[0], layout.classes, beta, logits, scratch, row);
                          });
}

void sharpen_backward(const Tensor& grad, const Tensor& x, const Tensor& temperature,
                      const Layout& layout, bool logits, Tensor& of_x, Tensor* of_temperature) {
    const RowKernels& kernels = row_kernels(x.scalar_type());
    const double beta = inverse(temperature, x.scalar_type());
    std::vector<double> moved(layout.count());
    for_each_distribution(layout, x.scalar_type(), {data(grad), data(x)},
                          static_cast<char*>(of_x.mutable_data_ptr()),
                          [&](int64_t i, const char* const* from, char* row, void* scratch) {
                              moved[i] = kernels.sharpen_backward(from[0], from[1], layout.classes,
                                                                  beta, logits, scratch, row);
                          });
    if (of_temperature != nullptr) write_temperature(moved, temperature, *of_temperature);
}

void guess_labels(const Tensor& logits, const Tensor& temperature, Tensor& to) {
    const RowKernels& kernels = row_kernels(logits.scalar_type());
    const double beta = inverse(temperature, logits.scalar_type());
    char* guesses = static_cast<char*>(to.mutable_data_ptr());
    const int64_t row_bytes = to.size(1) * bytes_of(to.scalar_type());
    for_each_image(logits, [&](int64_t b, const ImageLogits& image, void* scratch) {
        kernels.guess(image, beta, scratch, guesses + b * row_bytes);
    });
}

void guess_labels_backward(const Tensor& grad, const Tensor& logits, const Tensor& temperature,
                           Tensor& of_logits, Tensor* of_temperature) {
    const RowKernels& kernels = row_kernels(logits.scalar_type());
    const double beta = inverse(temperature, logits.scalar_type());
    const int64_t n = grad.size(1), row_bytes = n * bytes_of(grad.scalar_type());
    const int64_t image_bytes = n * bytes_of(logits.scalar_type());
    const char* of_guesses = data(grad);
    char* to = static_cast<char*>(of_logits.mutable_data_ptr());
    std::vector<double> moved(grad.size(0));
    for_each_image(logits, [&](int64_t b, const ImageLogits& image, void* scratch) {
        moved[b] = kernels.guess_backward(of_guesses + b * row_bytes, image, beta, scratch,
                                          to + b * image_bytes);
    });
    if (of_temperature != nullptr) write_temperature(moved, temperature, *of_temperature);
}

}  // namespace lelkern::mixup
