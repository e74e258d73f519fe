import itertools
import math

import numpy as np
import pytest
from scipy import stats

from lelkern.ablation.comparison import ALPHA, paired_p
from lelkern.ablation.statistics import Row
from lelkern.ablation.study import Study
from lelkern.ablation.verdict import verdict


def make(expect, *factors, metric="linear_probe", plot="category"):
    keys = ("alpha", "beta")
    factor = [
        {"key": f"part.{key}", "label": key, **levels}
        for key, levels in zip(keys, factors, strict=False)
    ]
    expect = {"shape": expect} if isinstance(expect, str) else expect
    head = {"title": "t", "claim": "c", "method": "simclr", "metric": metric, "plot": plot}
    return Study.parse({**head, "factor": factor, "expect": expect}, "test")


TEMPERATURES = [0.005, 0.015, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0]
CURVE = np.array([0.85, 0.92, 0.94, 0.94, 0.95, 0.93, 0.88, 0.73])
NOISE = np.array([0.015, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.03])
PEAK = make("interior-maximum", {"values": TEMPERATURES, "scale": "log"}, plot="line")
ORDER = make("ordered", {"values": ["none", "linear", "nonlinear"]})
PAIRS = make({"shape": "best", "arm": "a+b"}, {"pairs_of": ["a", "b", "c"]}, plot="heatmap")
GROWTH = make(
    "increasing",
    {"values": [4, 8, 16], "scale": "log"},
    {"values": [1, 2, 3], "scale": "linear"},
    plot="parameters",
)


def rows_of(study, values):
    """Rows of a (seeds, arms) table."""
    arms = [arm.label for arm in study.arms()]
    return [
        Row(arm, seed, {study.metric: float(value)})
        for seed, line in enumerate(values)
        for arm, value in zip(arms, line, strict=True)
    ]


def noisy(means, std, seeds=3, rng=0):
    generator = np.random.default_rng(rng)
    means, shared = np.asarray(means), 0.02 * generator.standard_normal((seeds, 1))
    return means + shared + std * generator.standard_normal((seeds, len(means)))


def outcomes(study, means, std, repetitions, seeds=3):
    found = [
        verdict(study, rows_of(study, noisy(means, std, seeds, rng))).outcome
        for rng in range(repetitions)
    ]
    return {name: found.count(name) / repetitions for name in ("supported", "not supported")}


# --- one comparison -------------------------------------------------------------------------


def test_paired_p_is_that_of_scipy():
    a, b = np.random.default_rng(0).normal(size=(2, 5))
    assert paired_p(a, b) == pytest.approx(stats.ttest_rel(a, b, alternative="greater").pvalue)


@pytest.mark.parametrize(
    ("shift", "n", "p"), [(0.1, 3, 0.125), (0.1, 5, 1 / 32), (0.0, 3, 1.0), (-0.1, 5, 1.0)]
)
def test_equal_differences_count_by_their_sign(shift, n, p):
    worse = np.linspace(0.3, 0.7, n)  # differences are equal only up to rounding
    assert paired_p(worse + shift, worse) == p


# --- what each shape finds ------------------------------------------------------------------


def test_a_peak_is_supported():
    found = verdict(PEAK, rows_of(PEAK, noisy(CURVE, NOISE)))
    assert found.outcome == "supported"
    assert found.p_value == max(c.p_value for c in found.comparisons) <= ALPHA
    assert len(found.comparisons) == 2
    assert "beats 0.005 (+" in found.reason
    assert "beats 3 (+" in found.reason


def test_the_peak_is_compared_by_the_median_of_inner_values_seed_by_seed():
    values = noisy(CURVE, NOISE)
    found = verdict(PEAK, rows_of(PEAK, values))
    for end, comparison in zip((0, -1), found.comparisons, strict=True):
        d = np.median(values[:, 1:-1], axis=1) - values[:, end]
        assert comparison.difference == pytest.approx(d.mean())
        expected = stats.ttest_1samp(d, 0, alternative="greater").pvalue
        assert comparison.p_value == pytest.approx(expected)


def test_ends_are_the_smallest_and_largest_value_however_listed():
    order = [4, 0, 7, 2, 5, 1, 3, 6]
    shuffled = make(
        "interior-maximum",
        {"values": [TEMPERATURES[i] for i in order], "scale": "log"},
        plot="line",
    )
    values = noisy(CURVE, NOISE)
    found = verdict(shuffled, rows_of(shuffled, values[:, order]))
    straight = verdict(PEAK, rows_of(PEAK, values))
    assert found.outcome == "supported"
    assert found.p_value == pytest.approx(straight.p_value)


@pytest.mark.parametrize("end", [0, -1])
def test_an_end_above_all_inner_values_contradicts_a_peak(end):
    means = CURVE.copy()
    means[end] = 0.99
    found = verdict(PEAK, rows_of(PEAK, noisy(means, 0.003, seeds=5)))
    assert found.outcome == "not supported"
    assert f"{PEAK.arms()[end].label} beats every inner value" in found.reason
    assert "against the claim" in found.reason
    assert found.p_value <= ALPHA


def test_one_end_that_is_not_beaten_leaves_a_peak_open():
    means = CURVE.copy()
    means[-1] = np.median(CURVE[1:-1])
    found = verdict(PEAK, rows_of(PEAK, noisy(means, 0.01)))
    assert found.outcome == "inconclusive"
    open_, shown = found.reason.split("; they do show that")
    assert "do not show that" in open_
    assert "0.005" not in open_
    assert "0.005" in shown


def test_a_best_mean_at_an_end_is_no_peak():
    # In every seed most inner values win, but each of them collapses in a third of the seeds.
    study = make("interior-maximum", {"values": [1, 2, 3, 4, 5], "scale": "linear"}, plot="line")
    inner = np.tile([[1.0, 1.0, -9.0], [1.0, -9.0, 1.0], [-9.0, 1.0, 1.0]], (3, 1))
    wobble = np.random.default_rng(0).normal(0, 0.01, (9, 2))
    values = np.c_[wobble[:, 0], inner, wobble[:, 1]]
    found = verdict(study, rows_of(study, values))
    assert found.outcome == "inconclusive"
    assert "the best mean is that of an end" in found.reason
    assert all(c.p_value <= ALPHA for c in found.comparisons)


def test_no_peak_without_inner_values():
    study = make("interior-maximum", {"values": [1, 2], "scale": "linear"}, plot="line")
    found = verdict(study, rows_of(study, noisy([0.1, 0.2], 0.01)))
    assert (found.outcome, found.p_value) == ("inconclusive", None)
    assert "no value between" in found.reason


def test_growth_along_both_factors_is_supported():
    means = [0.7 + 0.04 * w + 0.03 * d for w, d in itertools.product(range(3), repeat=2)]
    found = verdict(GROWTH, rows_of(GROWTH, noisy(means, 0.005)))
    assert found.outcome == "supported"
    assert [c.difference for c in found.comparisons] == pytest.approx([0.08, 0.06], abs=0.01)
    assert "Page" in found.test
    assert "width" not in found.test
    assert "alpha and beta" in found.test


def test_growth_uses_pages_test_within_a_seed_and_a_value_of_the_other_factor():
    values = noisy([0.7 + 0.01 * i for i in range(9)], 0.02)
    found = verdict(GROWTH, rows_of(GROWTH, values))
    grid = values.reshape(3, 3, 3)  # (seeds, alpha, beta)
    along_alpha = stats.page_trend_test(grid.transpose(0, 2, 1).reshape(9, 3)).pvalue
    along_beta = stats.page_trend_test(grid.reshape(9, 3)).pvalue
    assert [c.p_value for c in found.comparisons] == pytest.approx([along_alpha, along_beta])


def test_growth_along_one_factor_only_is_not_enough():
    means = [0.7 + 0.04 * w for w, _ in itertools.product(range(3), repeat=2)]
    found = verdict(GROWTH, rows_of(GROWTH, noisy(means, 0.005)))
    assert found.outcome == "inconclusive"
    open_, shown = found.reason.split("; they do show that")
    assert ("beta" in open_, "alpha" in open_) == (True, False)
    assert ("beta" in shown, "alpha" in shown) == (False, True)


def test_decline_along_one_factor_contradicts_growth():
    means = [0.7 + 0.04 * w - 0.03 * d for w, d in itertools.product(range(3), repeat=2)]
    found = verdict(GROWTH, rows_of(GROWTH, noisy(means, 0.005)))
    assert found.outcome == "not supported"
    assert "worsens with beta (1 to 3)" in found.reason


def test_growth_of_two_unsorted_values_is_a_paired_t_test():
    study = make("increasing", {"values": [9, 3], "scale": "linear"}, plot="line")
    values = noisy([0.9, 0.8], 0.005, seeds=4)
    found = verdict(study, rows_of(study, values))
    assert found.outcome == "supported"
    assert "t-test" in found.test
    expected = stats.ttest_rel(values[:, 0], values[:, 1], alternative="greater").pvalue
    assert found.p_value == pytest.approx(expected)


def test_order_needs_every_step():
    good = verdict(ORDER, rows_of(ORDER, noisy([0.8, 0.85, 0.9], 0.003)))
    assert good.outcome == "supported"
    half = verdict(ORDER, rows_of(ORDER, noisy([0.8, 0.85, 0.85], 0.003)))
    assert half.outcome == "inconclusive"
    assert "nonlinear beats linear" in half.reason
    bad = verdict(ORDER, rows_of(ORDER, noisy([0.8, 0.9, 0.85], 0.003)))
    assert bad.outcome == "not supported"
    assert "linear beats nonlinear (+" in bad.reason


def test_contradiction_pays_for_the_number_of_steps():
    # One reversed step with p between 0.025 and 0.05: too weak for the better of two.
    d = np.array([0.03, 0.05, 0.09])
    p = paired_p(d, np.zeros(3))
    assert ALPHA / 2 < p < ALPHA
    level = np.array([0.5, 0.6, 0.7])
    values = np.c_[level - 0.2, level + d, level]
    found = verdict(ORDER, rows_of(ORDER, values))
    assert found.outcome == "inconclusive"
    two = make("ordered", {"values": ["x", "y"]})
    assert verdict(two, rows_of(two, values[:, 1:])).outcome == "not supported"


def test_best_names_what_beats_it():
    labels = [arm.label for arm in PAIRS.arms()]
    means = np.full(6, 0.7)
    means[labels.index("a+b")] = 0.9
    found = verdict(PAIRS, rows_of(PAIRS, noisy(means, 0.005)))
    assert found.outcome == "supported"
    assert len(found.comparisons) == 5
    assert found.reason.endswith("and 2 more.")
    means[labels.index("c")] = 0.99
    found = verdict(PAIRS, rows_of(PAIRS, noisy(means, 0.002)))
    assert found.outcome == "not supported"
    assert "c beats a+b" in found.reason


def test_lower_is_better_for_losses():
    study = make("ordered", {"values": ["x", "y"]}, metric="alignment")
    assert verdict(study, rows_of(study, noisy([0.9, 0.5], 0.01))).outcome == "supported"
    assert verdict(study, rows_of(study, noisy([0.5, 0.9], 0.01))).outcome == "not supported"


def test_pairing_removes_what_a_seed_does_to_all_arms():
    values = noisy([0.5, 0.55, 0.6], 0.003) + np.array([[0.0], [0.2], [-0.3]])
    assert verdict(ORDER, rows_of(ORDER, values)).outcome == "supported"


# --- data with holes ------------------------------------------------------------------------


def test_one_seed_decides_nothing():
    found = verdict(ORDER, rows_of(ORDER, [[0.1, 0.5, 0.9]]))
    assert (found.outcome, found.p_value, found.comparisons) == ("inconclusive", None, ())
    assert "Only 1 seed" in found.reason


def test_no_rows():
    found = verdict(ORDER, [])
    assert found.outcome == "inconclusive"
    assert "none (no finished trial)" in found.reason


def test_partly_missing_seeds_leave_the_common_ones():
    values = noisy([0.8, 0.85, 0.9], 0.003, seeds=5)
    rows = [r for r in rows_of(ORDER, values) if (r.arm, r.seed) != ("linear", 1)]
    found = verdict(ORDER, rows)
    kept = verdict(ORDER, rows_of(ORDER, np.delete(values, 1, axis=0)))
    assert found.p_value == pytest.approx(kept.p_value)
    assert "4 seeds" in found.reason
    assert "linear (seed 1 not finished)" in found.reason


def test_a_diverged_run_is_missing_and_said_to_be():
    values = noisy([0.8, 0.85, 0.9], 0.003, seeds=4)
    values[2, 0] = math.nan
    found = verdict(ORDER, rows_of(ORDER, values))
    assert found.outcome == "supported"
    assert "3 seeds" in found.reason
    assert "none (seed 2 not a finite number)" in found.reason


def test_an_arm_without_results_is_named():
    rows = [r for r in rows_of(ORDER, noisy([0.8, 0.85, 0.9], 0.003)) if r.arm != "linear"]
    found = verdict(ORDER, rows)
    assert found.outcome == "inconclusive"
    assert "linear (no finished trial)" in found.reason


def test_many_gaps_are_counted():
    found = verdict(PEAK, [])
    assert "and" not in found.reason.split("Missing")[1]
    assert "4 more arms" in found.reason


@pytest.mark.parametrize("study", [PEAK, ORDER, PAIRS, GROWTH])
def test_equal_arms_are_inconclusive(study):
    found = verdict(study, rows_of(study, np.full((3, len(study.arms())), 0.5)))
    assert found.outcome == "inconclusive"
    assert math.isfinite(found.p_value)


@pytest.mark.parametrize("study", [PEAK, ORDER, PAIRS, GROWTH])
def test_the_same_data_in_any_order_give_the_same_verdict(study):
    rows = rows_of(study, noisy(np.full(len(study.arms()), 0.5), 0.1))
    assert verdict(study, rows) == verdict(study, rows[::-1])


# --- how often each verdict comes out -------------------------------------------------------

FLAT = np.full(8, 0.9)
COLLAPSED = np.array([0.05, 0.01, 0.01, 0.01, 0.01, 0.01, 0.02, 0.06])
UNSTEADY_INSIDE = np.array([0.01, 0.05, 0.01, 0.03, 0.01, 0.06, 0.01, 0.01])
LIMIT = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 2000)  # three standard errors of the rate


def test_a_realistic_peak_is_found_with_three_seeds():
    assert outcomes(PEAK, CURVE, NOISE, 200)["supported"] > 0.95


def test_a_lopsided_peak_is_found_with_three_seeds():
    means = [0.85, 0.92, 0.94, 0.94, 0.95, 0.90, 0.60, 0.55]
    assert outcomes(PEAK, means, NOISE, 200)["supported"] > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("std", [0.01, COLLAPSED, UNSTEADY_INSIDE], ids=["equal", "ends", "inside"])
@pytest.mark.parametrize("low_end", [False, True], ids=["all equal", "one end far below"])
def test_a_flat_curve_is_rarely_called_a_peak(std, seeds, low_end):
    # One end far below the others is the worst case: all depends on the other end.
    means = FLAT.copy()
    means[-1] -= 10 * low_end
    rates = outcomes(PEAK, means, std, 2000, seeds)
    assert rates["supported"] <= LIMIT
    assert rates["not supported"] <= LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("study", [ORDER, PAIRS, GROWTH], ids=["ordered", "best", "increasing"])
@pytest.mark.parametrize("unequal", [False, True], ids=["equal", "unequal"])
def test_equal_arms_are_rarely_judged(study, unequal):
    arms = len(study.arms())
    std = np.geomspace(0.01, 0.1, arms) if unequal else 0.01
    rates = outcomes(study, np.full(arms, 0.5), std, 2000)
    assert rates["supported"] <= LIMIT
    assert rates["not supported"] <= LIMIT
