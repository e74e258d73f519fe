// A step of SGD over numbers side by side. Included by foreach_isa.h once for each instruction set,
// inside that set's namespace.

template <typename Element, typename To>
__attribute__((noinline)) void sgd_as(const Element* w, const Element* grad, Element* buffer,
                                      int64_t n, const SgdStep& step, To* to) {
    using T = Computed<Element>;
    constexpr int lanes = Lanes<T>::count;
    const T rate = static_cast<T>(step.rate), momentum = static_cast<T>(step.momentum),
            taken = static_cast<T>(1 - step.dampening), decay = static_cast<T>(step.weight_decay);
    // Without decay an infinite parameter is none of the gradient's business.
    const auto decayed = [&](const Vec<T>& g, const Vec<T>& x) {
        return decay == 0 ? g : g + decay * x;
    };
    const auto over = [&](const auto& moved) {
        int64_t i = 0;
        for (; i + lanes <= n; i += lanes) {
            const Vec<T> x = read<T, Element, lanes>(w + i), g = read<T, Element, lanes>(grad + i);
            const Vec<T> old = buffer == nullptr ? Vec<T>{} : read<T, Element, lanes>(buffer + i);
            Vec<T> now;
            const Vec<T> by = moved(decayed(g, x), old, now);
            if (buffer != nullptr) write_rounded<T>(buffer + i, now);
            write_rounded<T>(to + i, x - rate * by);
        }
        if (i == n) return;
        const int64_t rest = n - i;
        const Vec<T> x = read_some<T>(w + i, rest), g = read_some<T>(grad + i, rest);
        const Vec<T> old = buffer == nullptr ? Vec<T>{} : read_some<T>(buffer + i, rest);
        Vec<T> now;
        const Vec<T> by = moved(decayed(g, x), old, now);
        if (buffer != nullptr) write_some_rounded<T>(buffer + i, now, rest);
        write_some_rounded<T>(to + i, x - rate * by, rest);
    };
    if (buffer == nullptr) {
        return over([](const Vec<T>& g, const Vec<T>&, Vec<T>& now) { return now = g; });
    }
    const bool first = step.first, nesterov = step.nesterov;
    over([&](const Vec<T>& g, const Vec<T>& old, Vec<T>& now) {
        now = first ? g : momentum * old + taken * g;
        return nesterov ? g + momentum * now : now;
    });
}

template <typename Element>
void sgd(const void* w, const void* grad, void* buffer, int64_t n, const SgdStep& step, void* to,
         bool widened) {
    using T = Computed<Element>;
    const auto* from = static_cast<const Element*>(w);
    const auto* g = static_cast<const Element*>(grad);
    auto* momentum = static_cast<Element*>(buffer);
    if (widened) return sgd_as<Element, T>(from, g, momentum, n, step, static_cast<T*>(to));
    sgd_as<Element, Element>(from, g, momentum, n, step, static_cast<Element*>(to));
}
