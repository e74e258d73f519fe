// The kernels that guess labels: a group of threads for each image.
//
// The mean of the softmaxes is kept as it is where powers are at least 1, as what is then too small
// for a number is so for the guess as well; and as logarithms otherwise.
#pragma once

#include "mixup/cuda/row_group.cuh"
#include "mixup/cuda/row_powers.cuh"

namespace lelkern::mixup::cuda {

constexpr int kGuessBlocks = 3;  // of a multiprocessor at least, which leaves 80 registers

// The softmax of one augmentation of an image.
template <typename T>
struct Softmax {
    T largest, sum;

    __device__ T exponential(T z) const { return power_of_2(below(z)); }
    __device__ T log2(T z) const { return below(z) - base_2_log(sum); }

  private:
    // log2 of the exponential. Infinite logits share the first place.
    __device__ T below(T z) const {
        return z == largest ? 0 : (z - largest) * static_cast<T>(kLog2E);
    }
};

// The classes of image b, those of this thread.
template <typename T, int threads>
class Image {
  public:
    using Group = RowGroup<threads>;

    __device__ Image(const Guessing& guessing, int64_t b) : guessing_(guessing), b_(b) {}

    template <typename F>
    __device__ void for_each_class(const F& f) const {
        for (int64_t c = Group::lane(); c < guessing_.C; c += threads) f(c);
    }

    __device__ int64_t place(int64_t k, int64_t c) const {
        return (k * guessing_.B + b_) * guessing_.C + c;
    }

    __device__ T logit(int64_t k, int64_t c) const {
        return load_number<T>(guessing_.logits, guessing_.element, place(k, c));
    }

    __device__ Softmax<T> softmax(int64_t k) const {
        Softmax<T> softmax{-Numbers<T>::infinity, 0};
        for_each_class([&](int64_t c) { softmax.largest = larger(softmax.largest, logit(k, c)); });
        softmax.largest = Group::largest(softmax.largest);
        if (softmax.largest == -Numbers<T>::infinity) softmax.largest = Numbers<T>::nan();
        for_each_class([&](int64_t c) { softmax.sum += softmax.exponential(logit(k, c)); });
        softmax.sum = Group::sum(softmax.sum);
        return softmax;
    }

    // mean[c] = the mean, or with `logarithms` log2 of it; returns the largest. Each thread reads
    // and writes its own classes. `softmaxes`: where the K of them go, for others to read; or null.
    __device__ T fill_mean(T* mean, bool logarithms, Softmax<T>* softmaxes) const {
        const T share = 1 / static_cast<T>(guessing_.K);
        for (int64_t k = 0; k < guessing_.K; ++k) {
            const Softmax<T> own = softmax(k);
            if (softmaxes != nullptr && Group::lane() == 0) softmaxes[k] = own;
            const T weight = share / own.sum, log2_share = base_2_log(share);
            for_each_class([&](int64_t c) {
                if (logarithms) {
                    const T more = own.log2(logit(k, c)) + log2_share;
                    mean[c] = k == 0 ? more : added(mean[c], more);
                } else {
                    const T more = own.exponential(logit(k, c)) * weight;
                    mean[c] = k == 0 ? more : mean[c] + more;
                }
            });
        }
        T largest = -Numbers<T>::infinity;
        for_each_class([&](int64_t c) { largest = larger(largest, mean[c]); });
        return Group::largest(largest);
    }

  private:
    // log2(2^a + 2^b).
    __device__ static T added(T a, T b) {
        const T most = larger(a, b), least = a == most ? b : a;
        // Two that are -inf are so together; a nan is one whichever it is.
        if (most == -Numbers<T>::infinity && least == most) return most;
        return most + base_2_log(1 + power_of_2(least - most));
    }

    const Guessing& guessing_;
    const int64_t b_;
};

// The ratios of a mean that is kept either way.
template <typename T>
class MeanRatios {
  public:
    __device__ MeanRatios(T largest, const Exponent<T>& exponent, bool logarithms)
        : ratios_(largest, exponent, false),
          exponent_(exponent),
          logarithms_(logarithms),
          largest_(largest) {}

    __device__ T log_ratio(T mean) const {
        return logarithms_ ? mean - largest_ : ratios_.log_ratio(mean);
    }
    __device__ T raised(T log_ratio) const { return power_of_2(log_ratio * exponent_.beta); }
    __device__ T power(T mean) const {
        return logarithms_ ? raised(mean - largest_) : ratios_.power(mean);
    }

  private:
    const Ratios<T> ratios_;
    const Exponent<T>& exponent_;
    const bool logarithms_;
    const T largest_;
};

template <typename T, int threads>
__global__ void __launch_bounds__(kThreads, kGuessBlocks)
    guess_rows(const Guessing guessing, T* to) {
    using Group = RowGroup<threads>;
    const int64_t b = Group::row();
    if (b >= guessing.B) return;
    const Image<T, threads> image(guessing, b);
    T* const row = to + b * guessing.C;  // the mean, until it is sharpened
    const Exponent<T> exponent(guessing.temperature);
    const bool logarithms = exponent.beta < 1;
    const MeanRatios<T> ratios(image.fill_mean(row, logarithms, nullptr), exponent, logarithms);
    T sum = 0;
    image.for_each_class([&](int64_t c) { sum += ratios.power(row[c]); });
    const T inverse = 1 / Group::sum(sum);
    image.for_each_class([&](int64_t c) { row[c] = ratios.power(row[c]) * inverse; });
}

// What backward leaves in memory between its passes.
template <typename T>
struct GuessWorkspace {
    T* means;               // (B, C)
    T* gradients;           // (B, C), of log mean
    Softmax<T>* softmaxes;  // (B, K)
};

template <typename T, int threads>
__global__ void __launch_bounds__(kThreads, kGuessBlocks)
    guess_rows_backward(const Guessing guessing, const T* grad, void* to, double* moved,
                        const GuessWorkspace<T> workspace) {
    using Group = RowGroup<threads>;
    const int64_t b = Group::row();
    if (b >= guessing.B) return;
    const Image<T, threads> image(guessing, b);
    T* const mean = workspace.means + b * guessing.C;
    T* const gradient = workspace.gradients + b * guessing.C;
    Softmax<T>* const softmaxes = workspace.softmaxes + b * guessing.K;
    const T* const g = grad + b * guessing.C;
    const Exponent<T> exponent(guessing.temperature);
    const bool logarithms = exponent.beta < 1;
    const MeanRatios<T> ratios(image.fill_mean(mean, logarithms, softmaxes), exponent, logarithms);
    T sum = 0, along = 0;
    image.for_each_class([&](int64_t c) {
        const T power = ratios.raised(ratios.log_ratio(mean[c]));
        sum += power;
        along += g[c] * power;
    });
    sum = Group::sum(sum);
    const T centre = Group::sum(along) / sum;
    T own_moved = 0;
    image.for_each_class([&](int64_t c) {
        const T log_ratio = ratios.log_ratio(mean[c]);
        const T of_scaled = ratios.raised(log_ratio) / sum * (g[c] - centre);
        own_moved += of_scaled * larger(log_ratio, Numbers<T>::lowest);
        gradient[c] = exponent.beta * of_scaled;
    });
    if (moved != nullptr) {
        own_moved = Group::sum(own_moved);
        if (Group::lane() == 0) moved[b] = own_moved;
    }
    Group::sync();  // the softmaxes are there
    const T share = 1 / static_cast<T>(guessing.K), log2_share = base_2_log(share);
    for (int64_t k = 0; k < guessing.K; ++k) {
        const Softmax<T> own = softmaxes[k];
        // How much of the mean is this augmentation's, times the gradient of the mean's logarithm.
        const auto part = [&](int64_t c) -> T {
            const T z = image.logit(k, c);
            if (logarithms) {
                if (mean[c] == -Numbers<T>::infinity) return 0;
                return power_of_2(own.log2(z) + log2_share - mean[c]) * gradient[c];
            }
            if (!(mean[c] > 0)) return 0 * gradient[c];
            return own.exponential(z) * (share / own.sum) / mean[c] * gradient[c];
        };
        T all = 0;
        image.for_each_class([&](int64_t c) { all += part(c); });
        all = Group::sum(all) / own.sum;
        image.for_each_class([&](int64_t c) {
            const T of_logit = part(c) - own.exponential(image.logit(k, c)) * all;
            store_number<T>(to, guessing.element, image.place(k, c), of_logit);
        });
    }
}

}  // namespace lelkern::mixup::cuda
