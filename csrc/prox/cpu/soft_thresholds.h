// Soft thresholds of numbers one by one, and their gradients. Included by foreach_isa.h once for
// each instruction set, inside that set's namespace.

// A threshold, or nan for one that is negative.
template <typename T, typename V>
inline V checked_threshold(const V& lam) {
    return lam >= 0 ? lam : V{} + kNan<T>;
}

// sign(w) max(|w| - lam, 0); what is infinite stays so unless lam is.
template <typename T>
inline Vec<T> soft(const Vec<T>& w, const Vec<T>& lam) {
    const Vec<T> size = magnitude<T>(w);
    return with_sign_of<T>(size <= lam ? Vec<T>{} : size - lam, w);
}

// Thresholds that leave numbers alone, and one for all numbers.
template <typename T>
struct Untouched {
    Vec<T> operator()(const Vec<T>& w) const { return w; }
};

template <typename T>
struct Softened {
    explicit Softened(T lam) : lam_(broadcast<T>(lam)) {}
    Vec<T> operator()(const Vec<T>& w) const { return soft<T>(w, lam_); }

  private:
    const Vec<T> lam_;
};

// Calls f with what thresholds numbers by lam.
template <typename T, typename F>
inline auto with_soft(double lam, const F& f) {
    return lam == 0 ? f(Untouched<T>()) : f(Softened<T>(static_cast<T>(lam)));
}

// Of numbers one by one: the thresholds of the vector that begins at i.
template <typename T>
class ThresholdsOf {
  public:
    explicit ThresholdsOf(const Scaled& lam)
        : each_(lam.each ? static_cast<const T*>(lam.values) : nullptr), scale_(lam.scale) {
        if (lam.values == nullptr || lam.each) return;
        one_ = broadcast<T>(*static_cast<const T*>(lam.values));
        one_ = checked_threshold<T>(scaled(one_));
    }

    Vec<T> at(int64_t i, int64_t n) const {
        if (each_ == nullptr) return one_;
        constexpr int lanes = Lanes<T>::count;
        const Vec<T> given = i + lanes <= n ? load<T>(each_ + i) : read_some<T>(each_ + i, n - i);
        return checked_threshold<T>(scaled(given));
    }

  private:
    Vec<T> scaled(const Vec<T>& given) const {
        if (scale_ == 1) return given;
        Vec<T> by;
        for (int k = 0; k < Lanes<T>::count; ++k) by[k] = static_cast<T>(given[k] * scale_);
        return given == kInfinity<T> ? given : by;
    }

    const T* const each_;
    const double scale_;
    Vec<T> one_{};
};

template <typename T, typename From, typename To>
__attribute__((noinline)) void soft_numbers_as(const From* from, int64_t n, const Scaled& lam1,
                                               const Scaled& lam, const Results& results) {
    const ThresholdsOf<T> first(lam1), second(lam);
    const auto threshold = [&](const auto& once) {
        transform<T, To>(from, n, results, [&](int64_t i, const Vec<T>& w) {
            return once(soft<T>(w, second.at(i, n)), i);
        });
    };
    if (lam1.values == nullptr) return threshold([](const Vec<T>& w, int64_t) { return w; });
    threshold([&](const Vec<T>& w, int64_t i) { return soft<T>(w, first.at(i, n)); });
}

template <typename Element>
void soft_numbers(const void* from, bool widened, int64_t n, const Scaled& lam1, const Scaled& lam,
                  const Results& results) {
    using T = Computed<Element>;
    if (widened) {
        return soft_numbers_as<T, T, Element>(static_cast<const T*>(from), n, lam1, lam, results);
    }
    soft_numbers_as<T, Element, Element>(static_cast<const Element*>(from), n, lam1, lam, results);
}

template <typename Element>
double soft_numbers_backward(const void* grad, const void* w, int64_t n, const Scaled& lam,
                             void* of_lam, const Results& results) {
    using T = Computed<Element>;
    constexpr int lanes = Lanes<T>::count;
    const auto* of_x = static_cast<const Element*>(grad);
    T* const each = static_cast<T*>(of_lam);
    const ThresholdsOf<T> thresholds(lam);
    Element* const to = static_cast<Element*>(results.to);
    const Vec<T> nan = broadcast<T>(kNan<T>), zero{};
    const auto step = [&](int64_t i, const Vec<T>& w, Vec<T>(&parts)[1]) {
        const bool whole = i + lanes <= n;
        const Vec<T> g = whole ? read<T, Element, lanes>(of_x + i) : read_some<T>(of_x + i, n - i);
        const Vec<T> at = thresholds.at(i, n), size = magnitude<T>(w);
        const Vec<T> moves = size > at ? g : size <= at ? zero : nan;
        const Vec<T> of_w = at == 0 ? g : moves, of_at = -times_sign_of<T>(moves, w);
        parts[0] += of_at;
        if (whole) {
            write_rounded<T>(to + i, of_w);
            if (each != nullptr) store<T>(each + i, of_at);
        } else {
            write_some_rounded<T>(to + i, of_w, n - i);
            if (each != nullptr) write_some<T>(each + i, of_at, n - i);
        }
    };
    return sums_of<T, 1>(static_cast<const Element*>(w), n, step).of[0];
}
