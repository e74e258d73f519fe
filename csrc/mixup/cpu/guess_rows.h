// The guess for one image, and its gradients. Included by foreach_isa.h once for each instruction
// set, inside that set's namespace.

#include "mixup/cpu/sharpen_rows.h"

// The softmax of each augmentation of an image, and their mean, which is to be sharpened.
//
// They are not taken as logarithms: what is too small for a number is so for the guess as well, as
// long as powers are at least 1. With smaller ones, the logarithms of what is tiny are made up for.
template <typename T, typename Element>
class Image {
  public:
    Image(const ImageLogits& logits, T* scratch)
        : logits_(static_cast<const Element*>(logits.data)),
          K_(logits.K),
          step_(logits.step),
          n_(logits.n),
          width_(padded<T>(n_)),
          scratch_(scratch) {
        for (int64_t k = 0; k < K_; ++k) {
            const Element* from = logits_ + k * step_;
            largest(k) = largest_of<T>(from, n_);
            sum(k) = fill_powers_of_logits<T>(from, n_, largest(k), 1, exponentials(k));
            weight(k) = 1 / (T(K_) * sum(k));
        }
    }

    // Sharpens the mean into powers(), and returns their sum.
    T sharpen(double beta) {
        // Of numbers that sum to 1 a few powers are none the worse for not being ratios.
        const auto without_logarithms = [&](auto whole) {
            Vec<T> total{};
            for_each_mean([&](int64_t i, const Vec<T>& mean) {
                const Vec<T> power = whole_power<whole()>(mean);
                store<T>(powers() + i, power);
                total += power;
            });
            return sum_of_lanes<T>(total);
        };
        return with_whole_power(beta, without_logarithms,
                                [&] { return sharpen_with_logarithms(beta); });
    }

    // Leaves mean() and log_ratio() as well.
    T sharpen_with_logarithms(double beta) {
        Vec<T> best{}, least = broadcast<T>(1);
        for_each_mean([&](int64_t i, const Vec<T>& mean) {
            store<T>(this->mean() + i, mean);
            best = larger<T>(best, mean);
            least = smaller<T>(least, mean);
        });
        best_ = max_of_lanes<T>(best);
        const T sum =
            fill_powers<T>(mean(), n_, ProbabilitiesOf<T>(best_), beta, powers(), log_ratio());
        // Padded with zeros, a row may look as if it had tiny ones.
        if (beta >= 1 || -max_of_lanes<T>(-least) >= kTiny || !make_up_logarithms()) return sum;
        const T scale = finite<T>(beta);
        Vec<T> total{};
        for (int64_t i = 0; i < width_; i += Lanes<T>::count) {
            const Vec<T> power = exp2<T>(load<T>(log_ratio() + i) * scale);
            store<T>(powers() + i, power);
            total += power;
        }
        return sum_of_lanes<T>(total);
    }

    // part(k) = the share that augmentation k has in the mean, class by class.
    void fill_parts(double beta) {
        for (int64_t i = 0; i < width_; i += Lanes<T>::count) {
            const Vec<T> all = load<T>(mean() + i);
            for (int64_t k = 0; k < K_; ++k) {
                const Vec<T> own = load<T>(exponentials(k) + i) * weight(k);
                store<T>(part(k) + i, all > 0 ? own / all : Vec<T>{});
            }
        }
        if (beta >= 1) return;
        for (int64_t c = 0; c < n_; ++c) {
            if (!(mean()[c] < kTiny)) continue;
            const double all = log2_mean(c);
            for (int64_t k = 0; k < K_ && all > -kInfinity<double>; ++k) {
                part(k)[c] = static_cast<T>(std::exp2(log2_softmax(k, c) - all) / K_);
            }
        }
    }

    T& largest(int64_t k) { return scratch_[(2 * K_ + 3) * width_ + k]; }
    T& sum(int64_t k) { return scratch_[(2 * K_ + 3) * width_ + K_ + k]; }  // of exponentials
    T& weight(int64_t k) { return scratch_[(2 * K_ + 3) * width_ + 2 * K_ + k]; }  // in the mean
    T* exponentials(int64_t k) { return scratch_ + k * width_; }
    T* part(int64_t k) { return scratch_ + (K_ + k) * width_; }
    T* mean() { return scratch_ + 2 * K_ * width_; }
    T* powers() { return scratch_ + (2 * K_ + 1) * width_; }
    T* log_ratio() { return scratch_ + (2 * K_ + 2) * width_; }

  private:
    // Calls f(i, the means of classes from i on).
    template <typename F>
    void for_each_mean(const F& f) {
        int64_t i = 0;
        for (; i + 2 * Lanes<T>::count <= width_; i += 2 * Lanes<T>::count) means<2>(i, f);
        if (i < width_) means<1>(i, f);
    }

    // Of so many vectors, for which each weight is loaded once.
    template <int vectors, typename F>
    void means(int64_t i, const F& f) {
        constexpr int lanes = Lanes<T>::count;
        Vec<T> total[vectors] = {};
        for (int64_t k = 0; k < K_; ++k) {
            const T* const from = exponentials(k) + i;
            const Vec<T> by = broadcast<T>(weight(k));
#pragma GCC unroll 2
            for (int v = 0; v < vectors; ++v) total[v] += load<T>(from + v * lanes) * by;
        }
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) f(i + v * lanes, total[v]);
    }

    // Smaller means may have lost what their augmentations have below the normal numbers.
    static constexpr T kTiny = std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon();

    bool make_up_logarithms() {
        bool any = false;
        for (int64_t c = 0; c < n_; ++c) {
            if (!(mean()[c] < kTiny)) continue;
            log_ratio()[c] = static_cast<T>(log2_mean(c) - std::log2(static_cast<double>(best_)));
            any = true;
        }
        return any;
    }

    double log2_mean(int64_t c) {
        double best = -kInfinity<double>, total = 0;
        for (int64_t k = 0; k < K_; ++k) best = std::max(best, log2_softmax(k, c));
        if (best == -kInfinity<double>) return best;
        for (int64_t k = 0; k < K_; ++k) total += std::exp2(log2_softmax(k, c) - best);
        return best + std::log2(total / static_cast<double>(K_));
    }

    double log2_softmax(int64_t k, int64_t c) {
        const auto z = static_cast<double>(logits_[k * step_ + c]);
        const auto first = static_cast<double>(largest(k));
        return (z == first ? 0 : z - first) * kLog2E - std::log2(static_cast<double>(sum(k)));
    }

    const Element* const logits_;
    const int64_t K_, step_, n_, width_;
    T* const scratch_;
    T best_ = 0;
};

template <typename T, typename Element>
void guess_row(const ImageLogits& logits, double beta, void* scratch, void* to) {
    Image<T, Element> image(logits, static_cast<T*>(scratch));
    const T sum = image.sharpen(beta);
    store_row<T>(image.powers(), logits.n, 1 / sum, static_cast<T*>(to));
}

template <typename T, typename Element>
double guess_row_backward(const void* grad, const ImageLogits& logits, double beta, void* scratch,
                          void* to) {
    Image<T, Element> image(logits, static_cast<T*>(scratch));
    const T sum = image.sharpen_with_logarithms(beta);
    image.fill_parts(beta);
    const T by = finite<T>(beta);
    T* const of_log_mean = image.powers();
    const double moved =
        kLn2 * replace_by_gradients<T>(static_cast<const T*>(grad), logits.n, image.log_ratio(),
                                       sum, of_log_mean,
                                       [&](const Vec<T>&, const Vec<T>& q, const Vec<T>& centred) {
                                           return by * (q * centred);
                                       });
    for (int64_t k = 0; k < logits.K; ++k) {
        // From the gradient of log softmax to that of the logits: g - softmax * sum of g.
        T* const gradient = image.part(k);
        Vec<T> total{};
        for (int64_t i = 0; i < padded<T>(logits.n); i += Lanes<T>::count) {
            const Vec<T> own = load<T>(gradient + i) * load<T>(of_log_mean + i);
            store<T>(gradient + i, own);
            total += own;
        }
        const T all = sum_of_lanes<T>(total) / image.sum(k);
        for (int64_t i = 0; i < padded<T>(logits.n); i += Lanes<T>::count) {
            store<T>(gradient + i,
                     load<T>(gradient + i) - load<T>(image.exponentials(k) + i) * all);
        }
        store_row<T>(gradient, logits.n, T(1), static_cast<Element*>(to) + k * logits.step);
    }
    return moved;
}
