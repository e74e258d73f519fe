// Draws of MixUp's lambda for one instruction set: what common/beta_draw.h says, for as many draws
// at a time as a vector has doubles. Included by foreach_isa.h once for each, inside its namespace.

#include "shared/cpu/simd_philox.h"

#include "shared/cpu/simd_powers.h"

using Doubles = Vec<double>;
using Words64 = PhiloxVector;       // words of 32 bits, in the low halves
using Choice = Lanes<double>::Int;  // -1 or 0

inline Doubles square_root(const Doubles& x) {
#if defined(LELKERN_HAS_AVX512)
    return (Doubles)_mm512_maskz_sqrt_pd(0xff, (__m512d)x);
#elif defined(__x86_64__) && LELKERN_VECTOR_BYTES == 32
    return (Doubles)_mm256_sqrt_pd((__m256d)x);
#else
    Doubles root;
    for (int lane = 0; lane < Lanes<double>::count; ++lane) root[lane] = std::sqrt(x[lane]);
    return root;
#endif
}

// Uniform in (0, 1), of the low halves.
inline Doubles uniform_of(const Words64& words) {
    const Doubles zero = broadcast<double>(4503599627370496.0);  // 2^52: its low bits count
    const Doubles number = (Doubles)((words & 0xffffffff) | (Words64)zero) - zero;
    return (number + 0.5) * (1 / 4294967296.0);
}

inline Doubles log_of(const Doubles& x) { return RatioToLargest<double>(1)(x) * kLn2; }

// log(1 + t), with what rounding 1 + t has lost.
inline Doubles log1p_of(const Doubles& t) {
    const Doubles sum = 1 + t;
    return log_of(sum) + (t - (sum - 1)) / sum;
}

// cos(2 pi x) for x in [0, 1].
inline Doubles cosine_of_turns_of(const Doubles& x) {
    const Doubles shifted = 4 * x + Lanes<double>::round_magic;  // its low bits: the next quarter
    const Doubles quarter = shifted - Lanes<double>::round_magic;
    const Doubles angle = (x - quarter * 0.25) * 6.283185307179586, square = angle * angle;
    // Taylor's series: the largest of what is left out is (pi / 4)^18 / 18!, 2e-18.
    Doubles cosine = broadcast<double>(1), sine = broadcast<double>(1);
#pragma GCC unroll 8
    for (int k = 16; k > 0; k -= 2) {
        cosine = 1 - square * (1.0 / (k * (k - 1))) * cosine;
        sine = 1 - square * (1.0 / (k * (k + 1))) * sine;
    }
    const Words64 number = (Words64)shifted;
    const Doubles size = (number & 1) != 0 ? sine * angle : cosine;
    return ((number + 1) & 2) != 0 ? -size : size;  // cos, -sin, -cos, sin
}

// log_acceptance, given log(1 + t).
inline Doubles log_acceptance_of(const Doubles& x, const Doubles& t, const Doubles& log1p_t,
                                 double d) {
    Doubles terms = 1.0 / 10 - t * (1.0 / 11);
#pragma GCC unroll 8
    for (int k = 9; k > 3; --k) terms = 1.0 / k - t * terms;
    const Doubles near = -(x * x) * (t * t) * (1.0 / 3) * terms;
    const Doubles far = x * x * 0.5 - d * (t * (3 + t * (3 + t)) - 3 * log1p_t);
    return (t < kSeriesBelow) & (t > -kSeriesBelow) ? near : far;
}

// First proposals for a Gamma of each draw: log(1 + t), the uniform number of its boost, and
// whether it is accepted.
struct Proposals {
    Doubles log1p_t, boost;
    Choice accepted;
};

inline Proposals first_proposals(uint64_t seed, const Words64& draws, uint32_t gamma, double d,
                                 double c) {
    const auto [w0, w1, w2, w3] =
        philox_of({{draws, draws >> 32, Words64{} + gamma, Words64{}}}, seed).at;
    const Doubles x = square_root(-2 * log_of(uniform_of(w0))) * cosine_of_turns_of(uniform_of(w1));
    const Doubles t = c * x, log1p_t = log1p_of(t);
    const Doubles bound = log_acceptance_of(x, t, log1p_t, d);
    return {log1p_t, uniform_of(w3), (t > -1) & (log_of(uniform_of(w2)) < bound)};
}

inline void fill_with_draws(uint64_t seed, double alpha, bool fold, int64_t begin, int64_t count,
                            double* to) {
    constexpr int lanes = Lanes<double>::count;
    const bool is_boosted = alpha < 1;
    const double d = (is_boosted ? alpha + 1 : alpha) - 1.0 / 3;
    const double c = 1 / std::sqrt(9 * d);
    for (int64_t done = 0; done < count; done += lanes) {
        Words64 draws;
        for (int lane = 0; lane < lanes; ++lane) draws[lane] = begin + done + lane;
        const Proposals one = first_proposals(seed, draws, 0, d, c);
        const Proposals other = first_proposals(seed, draws, 1, d, c);
        Doubles logit = 3 * one.log1p_t - 3 * other.log1p_t;
        if (is_boosted) logit += log_of(one.boost / other.boost) / alpha;
        if (fold) logit = logit < 0 ? -logit : logit;
        const Doubles lam = 1 / (1 + exp2_of_any<double>(logit * -kLog2E));
        const Choice accepted = one.accepted & other.accepted;
        for (int lane = 0; lane < std::min<int64_t>(lanes, count - done); ++lane) {
            // The others need further proposals.
            to[done + lane] =
                accepted[lane] ? lam[lane] : beta_draw(seed, alpha, begin + done + lane, fold);
        }
    }
}
