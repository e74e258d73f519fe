"""Claims about the arms along a factor: trends, their turns, peaks and plateaus."""

import itertools
import re

import numpy as np
import pytest
from scipy import stats
from simulated_results import METRICS, factor, make, noisy, verdict, verdicts

from lelkern.ablation.judge.evidence import ALPHA, holm
from lelkern.ablation.judge.outlook import look_ahead
from lelkern.ablation.judge.paired import paired
from lelkern.ablation.judge.statement import differences
from lelkern.config import ConfigError

TEMPERATURES = [0.005, 0.015, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0]
CURVE = np.array([0.85, 0.92, 0.94, 0.94, 0.95, 0.93, 0.88, 0.73])
NOISE = np.array([0.015, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.03])
PEAK = make({"shape": "interior-maximum"}, factors=[factor(TEMPERATURES, scale="log")])
GRID = [factor([4, 8, 16], scale="log"), factor([1, 2, 3], "part.beta")]
GROWTH = make({"shape": "increasing"}, factors=GRID)
ORDER = make(
    {"shape": "ordered"}, factors=[factor(["none", "linear", "nonlinear"], scale="category")]
)

# k-NN accuracies of MoCo with six momenta of its key encoder, means of four seeds.
MOMENTA = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999]
MOMENTUM = np.array([0.114, 0.139, 0.138, 0.903, 0.834, 0.707])
TREND = make({"shape": "increasing"}, factors=[factor(MOMENTA, scale="log-complement")])


# --- increasing and decreasing --------------------------------------------------------------


def test_growth_along_both_factors_is_supported():
    means = [0.7 + 0.04 * w + 0.03 * d for w, d in itertools.product(range(3), repeat=2)]
    found = verdict(GROWTH, noisy(means, 0.005))
    assert found.outcome == "supported"
    assert [c.difference for c in found.comparisons] == pytest.approx([0.08, 0.06], abs=0.01)
    assert "Page's trend test over alpha and beta, blocks: seeds, on the mean" in found.test
    assert "accuracy improves with alpha (4 to 16) (+8." in found.reason


def test_growth_uses_pages_test_within_a_seed_on_the_mean_of_the_other_factor():
    values = noisy([0.7 + 0.01 * i for i in range(9)], 0.02)
    found = verdict(GROWTH, values)
    grid = values.reshape(3, 3, 3)  # (seeds, alpha, beta)
    along_alpha = stats.page_trend_test(grid.mean(axis=2)).pvalue
    along_beta = stats.page_trend_test(grid.mean(axis=1)).pvalue
    assert [c.p_value for c in found.comparisons] == pytest.approx([along_alpha, along_beta])


def test_growth_along_one_factor_only_is_not_enough():
    means = [0.7 + 0.04 * w for w, _ in itertools.product(range(3), repeat=2)]
    found = verdict(GROWTH, noisy(means, 0.005))
    assert found.outcome == "inconclusive"
    open_, shown = found.reason.split("; they do show that")
    assert ("beta" in open_, "alpha" in open_) == (True, False)
    assert ("beta" in shown, "alpha" in shown) == (False, True)


def test_a_claim_may_be_about_one_factor_or_one_level_of_the_other():
    means = [0.7 + 0.04 * w * (d != 1) for w, d in itertools.product(range(3), repeat=2)]
    values = noisy(means, 0.005)
    alpha, where, other = verdicts(
        make(
            {"shape": "increasing", "along": "alpha"},
            {"shape": "increasing", "along": "part.alpha", "of": 1},
            {"shape": "increasing", "along": "alpha", "of": 2},
            factors=GRID,
        ),
        values,
    )
    assert [alpha.outcome, where.outcome] == ["supported", "supported"]
    assert "at beta=1" in where.reason
    assert where.p_value == pytest.approx(stats.page_trend_test(values[:, ::3]).pvalue)
    assert other.outcome == "inconclusive"


def test_decline_along_one_factor_contradicts_growth():
    means = [0.7 + 0.04 * w - 0.03 * d for w, d in itertools.product(range(3), repeat=2)]
    found = verdict(GROWTH, noisy(means, 0.005))
    assert found.outcome == "not supported"
    assert "accuracy worsens from beta 1 to 3 at alpha=8 (-6." in found.reason
    assert {(c.difference > 0, c.effect[0]) for c in found.contradictions} == {(True, "-")}
    assert "although accuracy improves from alpha 4 to 16 on average (+8." in found.reason


def test_a_decline_at_one_level_of_the_other_factor_contradicts_growth():
    means = [0.5, 0.6, 0.7, 0.6, 0.7, 0.8, 0.6, 0.7, 0.8, 0.9, 0.8, 0.7]
    factors = [factor([4, 8, 12, 16]), factor([1, 2, 3], "part.beta")]
    study = make({"shape": "increasing", "along": "beta"}, factors=factors)
    found = verdict(study, noisy(means, 0.002))
    assert found.comparisons[0].p_value <= ALPHA
    assert found.outcome == "not supported"
    assert "accuracy worsens from beta 1 to 3 at alpha=16 (-" in found.reason


def test_decreasing_mirrors_increasing():
    study = make({"shape": "increasing"}, {"shape": "decreasing"}, factors=[factor([1, 2, 3, 4])])
    values = noisy([0.5, 0.6, 0.65, 0.7], 0.01)
    up, down = verdicts(study, values)
    assert (up.outcome, down.outcome) == ("supported", "not supported")
    assert "accuracy improves with alpha" in down.reason
    mirrored_up, mirrored_down = verdicts(study, -values)
    assert (mirrored_down.outcome, mirrored_up.outcome) == ("supported", "not supported")
    assert mirrored_down.p_value == up.p_value
    assert mirrored_up.p_value == down.p_value


def test_growth_of_two_unsorted_values_is_a_paired_t_test():
    study = make({"shape": "increasing"}, factors=[factor([9, 3])])
    values = noisy([0.9, 0.8], 0.005, seeds=4)
    found = verdict(study, values)
    assert found.outcome == "supported"
    assert "t-test of the two values" in found.test
    expected = stats.ttest_rel(values[:, 0], values[:, 1], alternative="greater").pvalue
    assert found.p_value == pytest.approx(expected)


def test_a_metric_without_a_better_way_rises():
    study = make({"shape": "increasing"}, factors=[factor([1, 2, 3])], metric="entropy")
    assert (
        "entropy rises with alpha (1 to 3) (+2.0" in verdict(study, noisy([1, 2, 3], 0.01)).reason
    )


# --- trends that turn -----------------------------------------------------------------------


@pytest.mark.parametrize("rng", range(5))
def test_a_trend_that_turns_is_not_supported(rng):
    values = noisy(MOMENTUM, 0.025, seeds=4, rng=rng)
    assert stats.page_trend_test(values).pvalue < 0.01  # the trend test alone does not see it
    found = verdict(TREND, values)
    assert found.outcome == "not supported"
    assert "accuracy worsens from alpha 0.99 to 0.9999 (-" in found.reason
    assert re.search(r"although accuracy improves from alpha 0(\.5|\.9)? to 0.99 ", found.reason)
    assert found.p_value == min(c.p_adjusted for c in found.contradictions)


def test_a_step_back_pays_for_the_number_of_pairs():
    values = noisy(MOMENTUM, 0.025, seeds=4)
    found = verdict(TREND, values)
    pairs = list(itertools.combinations(range(6), 2))
    before, after = (values.T[[pair[end] for pair in pairs]] for end in (0, 1))
    p = [e.p_value for e in paired(before, after)]
    p.append(stats.page_trend_test(-values).pvalue)
    shown = sorted(q for q in holm(p) if q <= ALPHA)
    assert sorted(c.p_adjusted for c in found.contradictions) == pytest.approx(shown)


def test_a_turn_that_two_seeds_cannot_show_leaves_the_trend_open():
    steady = np.array([[0.0], [0.004]]) + MOMENTUM + [[0, 0, 0, 0.01, 0, 0], [0, 0, 0, 0, 0, 0]]
    found = verdict(TREND, steady)
    assert found.comparisons[0].p_value <= ALPHA
    assert found.contradictions == ()
    assert found.outcome == "inconclusive"
    assert "but accuracy worsens from alpha 0.99 to 0.9999 (-" in found.reason
    assert "after Holm's correction) leaves it open" in found.reason
    (fall,) = differences(["it falls"], steady[:, 3][None], steady[:, 5][None], METRICS["accuracy"])
    # At the level of Holm's first step: 15 pairs and the opposite trend.
    assert found.more_seeds == look_ahead([fall], 2, ALPHA / 16)[0]
    assert found.more_seeds != look_ahead([fall], 2)[0]


def test_a_plateau_is_no_turn():
    means = [0.5, 0.7, 0.9, 0.93, 0.93, 0.925]
    found = verdict(TREND, noisy(means, 0.003, seeds=2, rng=3))
    assert found.outcome == "supported"


# --- interior maximum -----------------------------------------------------------------------


def test_a_peak_is_supported():
    found = verdict(PEAK, noisy(CURVE, NOISE))
    assert found.outcome == "supported"
    assert found.p_value == max(c.p_value for c in found.comparisons) <= ALPHA
    assert len(found.comparisons) == 2
    assert "beats 0.005 (+" in found.reason
    assert "beats 3 (+" in found.reason


def test_the_peak_is_compared_by_the_median_of_inner_values_seed_by_seed():
    values = noisy(CURVE, NOISE)
    found = verdict(PEAK, values)
    for end, comparison in zip((0, -1), found.comparisons, strict=True):
        d = np.median(values[:, 1:-1], axis=1) - values[:, end]
        assert comparison.difference == pytest.approx(d.mean())
        expected = stats.ttest_1samp(d, 0, alternative="greater").pvalue
        assert comparison.p_value == pytest.approx(expected)


def test_ends_are_the_smallest_and_largest_value_however_listed():
    order = [4, 0, 7, 2, 5, 1, 3, 6]
    shuffled = make(
        {"shape": "interior-maximum"}, factors=[factor([TEMPERATURES[i] for i in order])]
    )
    values = noisy(CURVE, NOISE)
    found = verdict(shuffled, values[:, order])
    assert found.outcome == "supported"
    assert found.p_value == pytest.approx(verdict(PEAK, values).p_value)


@pytest.mark.parametrize("end", [0, -1])
def test_an_end_above_all_inner_values_contradicts_a_peak(end):
    means = CURVE.copy()
    means[end] = 0.99
    found = verdict(PEAK, noisy(means, 0.003, seeds=5))
    assert found.outcome == "not supported"
    assert f"{PEAK.arms()[end].label} beats every inner value" in found.reason
    assert "against the claim" in found.reason
    assert found.p_value <= ALPHA


def test_one_end_that_is_not_beaten_leaves_a_peak_open():
    means = CURVE.copy()
    means[-1] = np.median(CURVE[1:-1])
    found = verdict(PEAK, noisy(means, 0.01))
    assert found.outcome == "inconclusive"
    open_, shown = found.reason.split("; they do show that")
    assert "do not show that" in open_
    assert "0.005" not in open_
    assert "0.005" in shown


def test_a_best_mean_at_an_end_is_no_peak():
    # In every seed most inner values win, but each of them collapses in a third of the seeds.
    study = make({"shape": "interior-maximum"}, factors=[factor([1, 2, 3, 4, 5])], seeds=9)
    inner = np.tile([[1.0, 1.0, -9.0], [1.0, -9.0, 1.0], [-9.0, 1.0, 1.0]], (3, 1))
    wobble = np.random.default_rng(0).normal(0, 0.01, (9, 2))
    found = verdict(study, np.c_[wobble[:, 0], inner, wobble[:, 1]])
    assert found.outcome == "inconclusive"
    assert "the best mean is that of an end" in found.reason
    assert "cannot be said" in found.outlook
    assert all(c.p_value <= ALPHA for c in found.comparisons)


# --- ordered --------------------------------------------------------------------------------


def test_order_needs_every_step():
    good = verdict(ORDER, noisy([0.8, 0.85, 0.9], 0.003))
    assert good.outcome == "supported"
    half = verdict(ORDER, noisy([0.8, 0.85, 0.85], 0.003))
    assert half.outcome == "inconclusive"
    assert "nonlinear beats linear" in half.reason
    bad = verdict(ORDER, noisy([0.8, 0.9, 0.85], 0.003))
    assert bad.outcome == "not supported"
    assert "linear beats nonlinear (+" in bad.reason
    assert "although linear beats none (+" in bad.reason


def test_order_is_contradicted_by_any_earlier_level():
    # Neither step back is significant, both together are.
    values = np.array([[0.9, 0.85, 0.8], [0.9, 0.87, 0.81], [0.9, 0.88, 0.79], [0.9, 0.8, 0.8]])
    found = verdict(ORDER, values)
    assert found.outcome == "not supported"
    assert "none beats nonlinear" in found.reason


def test_contradiction_pays_for_the_number_of_pairs():
    # One reversed step with p between 0.025 and 0.05: too weak for the better of three.
    d = np.array([0.03, 0.05, 0.09])
    (back,) = paired(d[None], np.zeros((1, 3)))
    assert ALPHA / 3 < back.p_value < ALPHA
    level = np.array([0.5, 0.6, 0.7])
    values = np.c_[level - 0.2, level + d, level]
    assert verdict(ORDER, values).outcome == "inconclusive"
    two = make({"shape": "ordered"}, factors=[factor(["x", "y"], scale="category")])
    assert verdict(two, values[:, 1:]).outcome == "not supported"


def test_order_of_named_arms_at_a_level():
    study = make(
        {"shape": "ordered", "along": "arm", "of": 4},
        {"shape": "ordered", "along": "arm", "of": 8},
        factors=[factor([4, 8])],
        arms=["a", "b", "c"],
    )
    low, high = verdicts(study, noisy([0.5, 0.9, 0.6, 0.8, 0.7, 0.7], 0.003))
    assert (low.outcome, high.outcome) == ("supported", "not supported")
    assert "b beats a at alpha=4" in low.reason


# --- saturates ------------------------------------------------------------------------------

FULL = make(
    {"shape": "saturates", "until": 3, "margin": 0.03}, factors=[factor([1, 2, 3, 4, 5])], seeds=5
)


def test_a_plateau_after_a_rise_is_supported():
    found = verdict(FULL, noisy([0.3, 0.6, 0.8, 0.81, 0.81], 0.005, seeds=5))
    assert found.outcome == "supported"
    assert "accuracy improves with alpha (1 to 3) (+" in found.reason
    assert "gains less than 3.0 points from alpha 3 to 5 (+" in found.reason


@pytest.mark.parametrize(
    ("means", "reason"),
    [
        ([0.3, 0.6, 0.8, 0.9, 0.95], "improves from alpha 3 to 5 by more than 3.0 points (+15."),
        ([0.3, 0.6, 0.8, 0.9, 0.8], "improves from alpha 3 to 4 by more than 3.0 points (+10."),
        ([0.3, 0.6, 0.8, 0.82, 0.7], "worsens from alpha 4 to 5 by more than 3.0 points (-12."),
        ([0.6, 0.3, 0.8, 0.8, 0.8], "worsens from alpha 1 to 2 (-30."),
        ([0.8, 0.5, 0.3, 0.3, 0.3], "accuracy worsens with alpha (1 to 3) (-50."),
        ([0.3, 0.81, 0.82, 0.82, 0.797], "worsens from alpha 2 to 5 (-1."),
    ],
)
def test_what_contradicts_a_plateau(means, reason):
    found = verdict(FULL, np.array(means) + noisy(np.zeros(5), 0.0003, seeds=5))
    assert found.outcome == "not supported"
    assert reason in found.reason


def test_a_small_loss_is_a_plateau():
    means = np.array([0.3, 0.6, 0.8, 0.8, 0.79])
    found = verdict(FULL, means + noisy(np.zeros(5), 0.0003, seeds=5))
    assert found.outcome == "supported"


# --- best -----------------------------------------------------------------------------------


def test_best_names_what_beats_it():
    study = make({"shape": "best", "arm": "d"}, factors=[factor(list("abcdef"), scale="category")])
    found = verdict(study, noisy([0.7, 0.7, 0.7, 0.9, 0.7, 0.7], 0.005))
    assert found.outcome == "supported"
    assert len(found.comparisons) == 5
    assert found.reason.endswith("and 2 more.")
    found = verdict(study, noisy([0.7, 0.7, 0.99, 0.9, 0.7, 0.7], 0.002))
    assert found.outcome == "not supported"
    assert "c beats d" in found.reason
    assert "although d beats" in found.reason


def test_best_of_a_grid_is_an_arm_or_a_level():
    study = make(
        {"shape": "best", "arm": "a, alpha=8"},
        {"shape": "best", "arm": "a"},
        {"shape": "best", "arm": "b", "of": 4},
        factors=[factor([4, 8])],
        arms=["a", "b"],
    )
    arm, level, at = verdicts(study, noisy([0.5, 0.9, 0.6, 0.7], 0.003))
    assert [v.outcome for v in (arm, level, at)] == ["supported"] * 3
    assert [len(v.comparisons) for v in (arm, level, at)] == [3, 1, 1]
    assert level.comparisons[0].difference == pytest.approx(0.05, abs=0.01)


def test_best_need_not_beat_what_it_is_set_apart_from():
    factors = [factor(list("abcd"), scale="category")]
    means = noisy([0.7, 0.9, 0.95, 0.6], 0.003)
    alone = make({"shape": "best", "arm": "b"}, factors=factors)
    assert verdict(alone, means).outcome == "not supported"
    apart = make({"shape": "best", "arm": "b", "apart_from": "c"}, factors=factors)
    found = verdict(apart, means)
    assert found.outcome == "supported"
    assert len(found.comparisons) == 2
    several = make({"shape": "best", "arm": "d", "apart_from": ["b", "c"]}, factors=factors)
    assert "a beats d" in verdict(several, means).reason


# --- what does not fit ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({"shape": "interior-maximum"}, r"needs a value between the two ends of 'alpha', got 2"),
        ({"shape": "increasing", "along": "beta"}, r"along = 'beta' is not what the study varies"),
        ({"shape": "increasing", "along": "arm"}, r"along = 'arm' needs a factor of numbers"),
        ({"shape": "increasing", "of": "c"}, r"of = 'c' is no level of 'arm'; valid: a, b"),
        ({"shape": "ordered"}, r"along is missing; valid: arm, part.alpha"),
        ({"shape": "best", "arm": "c"}, r"arm = 'c' is no arm, level or baseline"),
        ({"shape": "best", "arm": "a", "apart_from": "x"}, r"apart_from = 'x' is no arm, level"),
        ({"shape": "best", "arm": "a", "apart_from": "a"}, r"apart_from = 'a' is nothing that 'a'"),
        ({"shape": "best", "arm": "a", "apart_from": ["b"]}, r"apart_from = .* leaves nothing"),
        ({"shape": "best", "arm": "raw"}, r"arm = 'raw' is a baseline; use shape = 'beats'"),
        ({"shape": "best", "arm": "a, alpha=4", "of": 4}, r"of = 4: arm = 'a, alpha=4' is one arm"),
        (
            {"shape": "saturates", "along": "alpha", "until": 8, "margin": 0.1},
            r"until = 8 must lie between the ends of 'alpha', 4 and 8",
        ),
        (
            {"shape": "saturates", "along": "alpha", "until": 5, "margin": 0.1},
            r"until = 5 is no level of 'part.alpha'; valid: 4, 8",
        ),
        ({"shape": "saturates", "until": 8, "margin": 0.0}, r"margin: .* greater than 0, got 0.0"),
        ({"shape": "increasing", "says": ""}, "says: .* at least 1 character"),
        ({"shape": "rising"}, "'increasing', 'decreasing'"),
    ],
)
def test_a_claim_that_does_not_fit_is_refused_when_the_study_is_read(claim, message):
    with pytest.raises(ConfigError, match=rf"test: claim\.0.*{message}"):
        make(claim, factors=[factor([4, 8])], arms=["a", "b"], baselines=["raw"])
