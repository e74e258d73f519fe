// One draw of MixUp's lambda, as lelkern/reference/mixup_lambda.py says, on every device.
#pragma once

#include <cmath>
#include <cstdint>

#include "shared/common/host_device.h"
#include "shared/common/philox.h"

namespace lelkern::mixup {

constexpr int kAttempts = 12;              // proposals for a Gamma
constexpr double kSeriesBelow = 1.0 / 16;  // for |c x|, where the acceptance would cancel

// Uniform in (0, 1).
LELKERN_HOST_DEVICE inline double uniform(uint32_t word) { return (word + 0.5) / 4294967296.0; }

// cos(2 pi x) for x in (0, 1). CUDA's cos keeps an array for arguments that are large, which this
// never has.
LELKERN_HOST_DEVICE inline double cosine_of_turns(double x) {
#if defined(__CUDACC__)
    return cospi(2 * x);
#else
    return std::cos(6.283185307179586 * x);
#endif
}

// x^2/2 + d - d v + d log v for v = (1 + t)^3 and x = 3 sqrt(d) t.
LELKERN_HOST_DEVICE inline double log_acceptance(double x, double t, double d) {
    if (!(std::fabs(t) < kSeriesBelow)) {
        return x * x / 2 - d * (t * (3 + t * (3 + t)) - 3 * std::log1p(t));
    }
    double terms = 1.0 / 10 - t / 11;
    for (int k = 9; k > 3; --k) terms = 1.0 / k - t * terms;
    return -(x * x) * (t * t) / 3 * terms;
}

// What decides a Gamma: log v / 3 = log(1 + t), and the uniform number of its boost.
struct Proposal {
    double t, boost;
};

// The first proposal for Gamma number `gamma` of draw i that is accepted, or else the mode.
LELKERN_HOST_DEVICE inline Proposal accepted_proposal(uint64_t seed, int64_t i, uint32_t gamma,
                                                      double d, double c) {
    for (uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
        const PhiloxWords words = philox(
            {{static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32), gamma, attempt}}, seed);
        const double radius = std::sqrt(-2 * std::log(uniform(words.at[0])));
        const double x = radius * cosine_of_turns(uniform(words.at[1]));
        const double t = c * x;
        if (!(t > -1)) continue;
        const double accept = uniform(words.at[2]), bound = log_acceptance(x, t, d);
        // As exp(bound) >= 1 + bound, most are accepted without a logarithm.
        if (accept < 1 + bound || std::log(accept) < bound) return {t, uniform(words.at[3])};
    }
    return {0, 1};
}

// Draw i of Beta(alpha, alpha), or of max(lam, 1 - lam) if it is to be folded.
LELKERN_HOST_DEVICE inline double beta_draw(uint64_t seed, double alpha, int64_t i, bool fold) {
    if (!(alpha > 0)) return static_cast<double>(NAN);
    const bool is_boosted = alpha < 1;
    const double d = (is_boosted ? alpha + 1 : alpha) - 1.0 / 3;
    const double c = 1 / std::sqrt(9 * d);
    const Proposal first = accepted_proposal(seed, i, 0, d, c);
    const Proposal second = accepted_proposal(seed, i, 1, d, c);
    double logit = 3 * std::log1p(first.t) - 3 * std::log1p(second.t);
    if (is_boosted) logit += std::log(first.boost / second.boost) / alpha;
    if (fold) logit = std::fabs(logit);
    return 1 / (1 + std::exp(-logit));
}

}  // namespace lelkern::mixup
