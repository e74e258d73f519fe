"""Claims about two arms, two metrics of one arm, or an arm and a value."""

import numpy as np
import pytest
from scipy import stats
from simulated_results import factor, make, noisy, verdict, verdicts

from lelkern.config import ConfigError

BUDGETS = factor([4, 10, 100], "data.labels_per_class", "log")
SIDES = {"arm": "new", "over": "old"}


def study(*claims, **settings):
    return make(*claims, factors=[BUDGETS], arms=["new", "old"], **settings)


def table(new, old, std=0.01, seeds=4, rng=0):
    return noisy([*new, *old], std, seeds, rng)


# --- beats ----------------------------------------------------------------------------------


def test_beats_at_every_level_or_where_it_says():
    every, low, high = verdicts(
        study(
            {"shape": "beats", **SIDES},
            {"shape": "beats", **SIDES, "at": 4},
            {"shape": "beats", **SIDES, "at": [10, 100]},
            seeds=4,
        ),
        values := table([0.7, 0.8, 0.9], [0.5, 0.7, 0.9]),
    )
    assert (every.outcome, low.outcome, high.outcome) == (
        "inconclusive",
        "supported",
        "inconclusive",
    )
    assert [len(v.comparisons) for v in (every, low, high)] == [3, 1, 2]
    expected = stats.ttest_rel(values[:, 0], values[:, 3], alternative="greater").pvalue
    assert low.p_value == pytest.approx(expected)
    assert "new beats old at labels_per_class=4 (+" in low.reason
    assert every.p_value == high.p_value == max(c.p_value for c in every.comparisons)


def test_beats_the_wrong_way_round():
    found = verdict(
        study({"shape": "beats", "arm": "old", "over": "new"}, seeds=4),
        table([0.7, 0.8, 0.9], [0.5, 0.7, 0.9]),
    )
    assert found.outcome == "not supported"
    assert "new beats old at labels_per_class=4 (+" in found.reason


def test_single_statements_are_shown_only_after_correction():
    # p of about 0.03 at two levels, none at the third: a claim about either level alone holds.
    d = np.array([0.03, 0.05, 0.09])
    base = np.array([[0.5], [0.6], [0.7]])
    new = base + np.c_[d, d, -d / 5]
    values = np.c_[new, base, base, base]
    every, one = verdicts(
        study({"shape": "beats", **SIDES}, {"shape": "beats", **SIDES, "at": 4}), values
    )
    assert one.outcome == "supported"
    assert every.outcome == "inconclusive"
    assert "they do show" not in every.reason
    assert "after Holm's correction" in every.reason
    assert every.comparisons[0].p_value <= 0.05 < every.comparisons[0].p_adjusted


def test_a_baseline_of_one_seed_is_a_constant():
    s = study(
        {"shape": "beats", "arm": "new", "over": "raw", "at": 4}, baselines=[("raw", 1)], seeds=4
    )
    values = table([0.7, 0.8, 0.9], [0.5, 0.7, 0.9])
    found = verdict(s, values, {"raw": [0.6]})
    assert found.outcome == "supported"
    expected = stats.ttest_1samp(values[:, 0], 0.6, alternative="greater").pvalue
    assert found.p_value == pytest.approx(expected)
    assert "raw ran one seed and counts as a constant" in found.test


def test_a_baseline_of_all_seeds_is_paired():
    s = study(
        {"shape": "beats", "arm": "new", "over": "random", "at": 4}, baselines=["random"], seeds=4
    )
    values = table([0.7, 0.8, 0.9], [0.5, 0.7, 0.9])
    random = values[:, 0] - [0.01, 0.011, 0.012, 0.013]
    found = verdict(s, values, {"random": random})
    expected = stats.ttest_rel(values[:, 0], random, alternative="greater").pvalue
    assert found.p_value == pytest.approx(expected)
    assert "constant" not in found.test


def test_a_baseline_of_some_seeds_is_paired_on_those():
    s = study(
        {"shape": "beats", "arm": "new", "over": "random", "at": 4},
        baselines=[("random", 2)],
        seeds=4,
    )
    values = table([0.7, 0.8, 0.9], [0.5, 0.7, 0.9])
    found = verdict(s, values, {"random": values[:2, 0] - [0.1, 0.101]})
    assert found.reason.startswith("Over 2 seeds")
    assert "random (seeds 2, 3 not run)" in found.reason


def test_two_constants_cannot_be_compared():
    s = study(
        {"shape": "beats", "arm": ["new", "raw"], "over": "mean", "at": "every"},
        baselines=[("raw", 1), ("mean", 1)],
    )
    found = verdict(s, table([0.7, 0.8, 0.9], [0.5, 0.7, 0.9]), {"raw": [0.9], "mean": [0.1]})
    assert (found.outcome, found.p_value) == ("inconclusive", None)
    assert "raw and mean ran one seed, which cannot be tested" in found.reason
    assert "More seeds of raw and mean" in found.outlook


def test_two_metrics_of_one_trial():
    values = table([0.7, 0.8, 0.9], [0.5, 0.7, 0.9])
    teacher = values + 0.02 + noisy(np.zeros(6), 0.002, seeds=4, rng=7) * [1, 1, 1, 1, 1, 0.1]
    claim = {"shape": "beats", "metric": "teacher", "over_metric": "accuracy"}
    own, every, across = verdicts(
        study({**claim, "arm": "new", "at": 4}, claim, {**claim, **SIDES, "at": 4}, seeds=4),
        values,
        teacher=teacher,
    )
    expected = stats.ttest_rel(teacher, values, alternative="greater").pvalue
    assert own.p_value == pytest.approx(expected[0])
    assert every.p_value == pytest.approx(expected.max())
    assert len(every.comparisons) == 6
    assert "teacher beats accuracy of new at labels_per_class=4 (+" in own.reason
    crossed = stats.ttest_rel(teacher[:, 0], values[:, 3], alternative="greater").pvalue
    assert across.p_value == pytest.approx(crossed)
    assert "teacher of new beats accuracy of old at labels_per_class=4" in across.reason


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({"metric": "acuracy"}, r"unknown metric 'acuracy'; did you mean 'accuracy'\?"),
        ({"over_metric": "loss"}, "over_metric = 'loss' does not compare with 'accuracy'"),
    ],
)
def test_metrics_that_do_not_fit(claim, message):
    s = study({"shape": "beats", **SIDES, **claim})
    with pytest.raises(ValueError, match=message):
        verdict(s, table([0.7, 0.8, 0.9], [0.5, 0.7, 0.9]))


# --- gaps -----------------------------------------------------------------------------------


def test_a_gap_that_shrinks():
    values = table([0.7, 0.8, 0.9], [0.5, 0.7, 0.88])
    shrinks, grows = verdicts(
        study({"shape": "gap-shrinks", **SIDES}, {"shape": "gap-grows", **SIDES}, seeds=4), values
    )
    assert (shrinks.outcome, grows.outcome) == ("supported", "not supported")
    gap = values[:, :3] - values[:, 3:]
    trend, lead = (comparison.p_value for comparison in shrinks.comparisons)
    assert trend == pytest.approx(stats.page_trend_test(-gap).pvalue)
    assert lead == pytest.approx(stats.ttest_1samp(gap[:, 0], 0, alternative="greater").pvalue)
    assert shrinks.p_value == max(trend, lead)
    assert "the gap of new over old shrinks with labels_per_class (4 to 100) (-1" in shrinks.reason
    assert "goes from +" in shrinks.reason


def test_a_gap_that_was_never_a_lead_does_not_shrink():
    shrinks, grows = verdicts(
        study(
            {"shape": "gap-shrinks", **SIDES},
            {"shape": "gap-grows", "arm": "old", "over": "new"},
            seeds=4,
        ),
        table([0.49, 0.4, 0.3], [0.5, 0.5, 0.5], std=0.003),
    )
    assert (shrinks.outcome, grows.outcome) == ("not supported", "supported")
    assert "old beats new at labels_per_class=4 (+" in shrinks.reason
    assert "old beats new at labels_per_class=100 (+" in grows.reason


def test_a_gap_in_a_loss_is_written_as_an_advantage():
    s = study({"shape": "gap-shrinks", **SIDES}, seeds=4, metric="loss")
    found = verdict(s, table([0.2, 0.3, 0.38], [0.5, 0.5, 0.4]))
    assert found.outcome == "supported"
    assert "the gap of new over old shrinks with labels_per_class (4 to 100) (-0.2" in found.reason
    assert "goes from +0.2" in found.reason or "goes from +0.3" in found.reason


def test_a_gap_that_shrinks_and_grows_again_does_not_shrink():
    found = verdict(
        study({"shape": "gap-shrinks", **SIDES}, seeds=5),
        table([0.9, 0.8, 0.9], [0.5, 0.79, 0.7], std=0.005, seeds=5),
    )
    assert found.outcome == "not supported"
    assert "the gap of new over old grows from labels_per_class 10 to 100 (+" in found.reason
    assert (
        "although the gap of new over old shrinks from labels_per_class 4 to 10 (-" in found.reason
    )


def test_equal_trends_of_both_arms_are_no_interaction():
    found = verdict(
        study({"shape": "gap-grows", **SIDES}, seeds=4), table([0.6, 0.7, 0.8], [0.5, 0.6, 0.7])
    )
    assert found.outcome == "inconclusive"


def test_a_gap_of_two_levels_is_a_paired_t_test():
    s = make(
        {"shape": "gap-grows", **SIDES}, factors=[factor([1, 2])], arms=["new", "old"], seeds=4
    )
    values = noisy([0.5, 0.9, 0.5, 0.6], 0.01, seeds=4)
    gap = values[:, :2] - values[:, 2:]
    expected = stats.ttest_rel(gap[:, 1], gap[:, 0], alternative="greater").pvalue
    assert verdict(s, values).p_value == pytest.approx(expected)


def test_a_gap_over_a_baseline_or_another_metric():
    s = make(
        {"shape": "gap-grows", "over": "raw"},
        {"shape": "gap-grows", "metric": "teacher", "over_metric": "accuracy"},
        factors=[factor([1, 2, 3])],
        baselines=[("raw", 1)],
        seeds=4,
    )
    values = noisy([0.5, 0.6, 0.7], 0.005, seeds=4)
    teacher = values + noisy([0.0, 0.02, 0.1], 0.005, seeds=4, rng=1)
    over, metric = verdicts(s, values, {"raw": [0.4]}, teacher=teacher)
    assert (over.outcome, metric.outcome) == ("supported", "supported")
    assert "the gap of accuracy over raw grows with alpha" in over.reason
    assert "the gap of teacher over accuracy grows with alpha" in metric.reason


# --- crossing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "outcome"),
    [
        ([0.6, 0.8, 0.95], "supported"),
        ([0.6, 0.8, 0.9], "inconclusive"),
        ([0.6, 0.8, 0.85], "not supported"),
        ([0.8, 0.8, 0.95], "not supported"),
    ],
)
def test_crossing_needs_both_sides_to_win_where_they_should(old, outcome):
    s = study({"shape": "crossing", **SIDES, "wins_at": 4, "loses_at": 100}, seeds=4)
    assert verdict(s, table([0.7, 0.8, 0.9], old)).outcome == outcome


# --- margins --------------------------------------------------------------------------------

EQUAL = study({"shape": "equal-within", **SIDES, "at": 100, "margin": 0.03}, seeds=5)
NOT_WORSE = study({"shape": "not-worse", **SIDES, "at": 100, "margin": 0.03}, seeds=5)


@pytest.mark.parametrize(
    ("difference", "equal", "not_worse"),
    [
        (0.0, "supported", "supported"),
        (0.02, "supported", "supported"),
        (0.03, "inconclusive", "supported"),
        (0.06, "not supported", "supported"),
        (-0.02, "supported", "supported"),
        (-0.03, "inconclusive", "inconclusive"),
        (-0.06, "not supported", "not supported"),
    ],
)
def test_margins(difference, equal, not_worse):
    values = table([0.7, 0.8, 0.9 + difference], [0.7, 0.8, 0.9], std=0.003, seeds=5)
    values[:, 2] += difference + values[:, 5].mean() - values[:, 2].mean()  # exactly the difference
    assert verdict(EQUAL, values).outcome == equal
    assert verdict(NOT_WORSE, values).outcome == not_worse


def test_equality_is_two_one_sided_tests():
    values = table([0.7, 0.8, 0.91], [0.7, 0.8, 0.9], seeds=5)
    found = verdict(EQUAL, values)
    d = values[:, 2] - values[:, 5]
    above = stats.ttest_1samp(d, -0.03, alternative="greater").pvalue
    below = stats.ttest_1samp(d, 0.03, alternative="less").pvalue
    assert found.p_value == pytest.approx(max(above, below))
    assert "new is within 3.0 points of old at labels_per_class=100 (+" in found.reason


def test_no_difference_is_not_equality():
    # Far too noisy for the margin: neither a difference nor equality.
    assert (
        verdict(EQUAL, table([0.7, 0.8, 0.9], [0.7, 0.8, 0.9], std=0.2, seeds=5)).outcome
        == "inconclusive"
    )


# --- recovers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "value", "outcome", "text"),
    [
        ("accuracy", 0.85, "supported", "new at labels_per_class=100 reaches 85.0 % (+"),
        ("accuracy", 0.95, "not supported", "falls short of 95.0 % (-"),
        ("accuracy", 0.9, "inconclusive", "reaches 90.0 %"),
        ("loss", 0.95, "supported", "reaches 0.950 nats (0.049 nats lower, "),
        ("loss", 0.85, "not supported", "falls short of 0.850 nats (0.051 nats higher, "),
    ],
)
def test_a_metric_reaches_a_value(metric, value, outcome, text):
    s = study(
        {"shape": "recovers", "arm": "new", "at": 100, "value": value}, seeds=4, metric=metric
    )
    values = 0.9 + noisy(np.zeros(6), 0.004, seeds=4) * 0.2
    found = verdict(s, values)
    assert found.outcome == outcome
    assert text in found.reason


@pytest.mark.parametrize(
    ("value", "outcome"), [(0.9, "supported"), (0.85, "not supported"), (0.95, "not supported")]
)
@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_a_metric_lies_within_a_margin_of_a_value(value, outcome, metric):
    claim = {"shape": "recovers", "arm": "new", "at": 100, "value": value, "margin": 0.02}
    values = 0.9 + noisy(np.zeros(6), 0.004, seeds=4) * 0.2
    assert verdict(study(claim, seeds=4, metric=metric), values).outcome == outcome


def test_every_arm_has_to_reach_it():
    s = study({"shape": "recovers", "value": 0.8}, seeds=4)
    found = verdict(s, table([0.7, 0.85, 0.9], [0.6, 0.85, 0.9], std=0.005))
    assert found.outcome == "not supported"
    assert "new, labels_per_class=4" in found.reason or "old, labels_per_class=4" in found.reason


# --- what does not fit ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({"shape": "beats", "arm": "new"}, "over is missing, or over_metric"),
        ({"shape": "beats", "arm": "newt", "over": "old"}, r"arm = 'newt' .* did you mean 'new'"),
        ({"shape": "beats", **SIDES, "at": 5}, "at = 5 is no level of 'data.labels_per_class'"),
        ({"shape": "beats", **SIDES, "margin": 0.1}, "unknown key 'margin'"),
        ({"shape": "equal-within", **SIDES}, "margin: Field required"),
        ({"shape": "not-worse", **SIDES, "margin": -0.1}, "margin: .* greater than 0"),
        (
            {"shape": "crossing", **SIDES, "wins_at": 4, "loses_at": [4, 10]},
            r"loses_at = \(4, 10\) has a level in common with wins_at = 4",
        ),
        ({"shape": "crossing", **SIDES, "wins_at": 5, "loses_at": 4}, "wins_at = 5 is no level"),
        ({"shape": "crossing", **SIDES, "wins_at": 4, "loses_at": 5}, "loses_at = 5 is no level"),
        ({"shape": "gap-grows", "over": "old", "along": "arm"}, "do not vary along it"),
        ({"shape": "gap-grows", "arm": 4, "over": "new"}, "are levels of different axes|along"),
        ({"shape": "recovers", "arm": "new"}, "value: Field required"),
        ({"shape": "recovers", "arm": "new", "value": float("nan")}, "value: .* finite"),
    ],
)
def test_a_claim_that_does_not_fit_is_refused_when_the_study_is_read(claim, message):
    with pytest.raises(ConfigError, match=rf"test: claim\.0.*({message})"):
        study(claim)
