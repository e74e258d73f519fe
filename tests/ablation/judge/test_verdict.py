"""What holds for every claim: holes in the data, orders, units, and how a verdict is written."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_results import METRICS, factor, make, noisy, results, verdict, verdicts

from lelkern.ablation.judge.verdict import judge
from lelkern.ablation.results import Results, Row

ORDER = make(
    {"shape": "ordered"}, factors=[factor(["none", "linear", "nonlinear"], scale="category")]
)
SIDES = {"arm": "new", "over": "old"}
ALL = [
    {"shape": "interior-maximum"},
    {"shape": "increasing"},
    {"shape": "decreasing", "of": "new"},
    {"shape": "ordered", "along": "alpha"},
    {"shape": "ordered", "along": "arm", "of": 10},
    {"shape": "best", "arm": "new"},
    {"shape": "best", "arm": "new, alpha=10"},
    {"shape": "beats", **SIDES},
    {"shape": "gap-shrinks", **SIDES},
    {"shape": "gap-grows", **SIDES},
    {"shape": "crossing", **SIDES, "wins_at": 4, "loses_at": 100},
    {"shape": "equal-within", **SIDES, "margin": 0.02},
    {"shape": "not-worse", **SIDES, "margin": 0.02},
    {"shape": "saturates", "along": "alpha", "until": 10, "margin": 0.02},
]
VALUES = [{"shape": "recovers", "value": 0.5}, {"shape": "recovers", "value": 0.5, "margin": 0.02}]


def every_claim(*more, metric="accuracy"):
    return make(
        *ALL, *more, factors=[factor([4, 10, 100])], arms=["new", "old"], metric=metric, seeds=4
    )


EVERY, EVERY_LOSS = every_claim(*VALUES), every_claim(metric="loss")
GAIN = every_claim()
TABLES = st.integers(0, 10**6).map(
    lambda rng: noisy(np.random.default_rng(rng).choice([0.5, 0.51, 0.6], 6), 0.01, 4, rng)
)


# --- what does not matter -------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(TABLES, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(values, random):
    plain = results(EVERY, values)
    shuffled = random.sample(plain.arms, len(plain.arms))
    assert judge(EVERY, Results(shuffled), METRICS) == judge(EVERY, plain, METRICS)


@settings(max_examples=15, deadline=None)
@given(TABLES)
def test_a_metric_that_is_better_when_lower_mirrors(values):
    for up, down in zip(verdicts(GAIN, values), verdicts(EVERY_LOSS, -values), strict=True):
        assert up.outcome == down.outcome
        assert up.p_value == down.p_value
        assert up.more_seeds == down.more_seeds
        assert [c.difference for c in up.comparisons] == [c.difference for c in down.comparisons]


@settings(max_examples=15, deadline=None)
@given(TABLES, st.sampled_from([-0.25, 0.125, 4.0]))
def test_a_constant_on_every_arm_changes_nothing(values, constant):
    before, after = verdicts(GAIN, values), verdicts(GAIN, values + constant)
    for one, other in zip(before, after, strict=True):
        assert one.outcome == other.outcome
        assert one.p_value == pytest.approx(other.p_value, rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(TABLES)
def test_what_a_seed_does_to_all_arms_changes_nothing(values):
    shared = np.array([[0.0], [0.25], [-0.25], [0.5]])
    for one, other in zip(verdicts(GAIN, values), verdicts(GAIN, values + shared), strict=True):
        assert one.outcome == other.outcome
        assert one.p_value == pytest.approx(other.p_value, rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(TABLES)
def test_p_values_and_outcomes_agree(values):
    for found in verdicts(EVERY, values):
        needed = max(c.p_value for c in found.comparisons)
        assert (found.outcome == "not supported") == bool(found.contradictions)
        if found.outcome == "not supported":
            assert found.p_value == min(c.p_adjusted for c in found.contradictions) <= 0.05
        else:
            assert found.p_value == needed
        if found.outcome == "supported":
            assert needed <= 0.05
        for c in (*found.comparisons, *found.contradictions):
            assert 0 <= c.p_value <= c.p_adjusted <= 1


def test_equal_arms_are_never_supported_but_as_equal():
    for found in verdicts(EVERY, np.full((5, 6), 0.5)):
        equal = found.shape in ("equal-within", "not-worse") or "within" in found.reason
        assert found.outcome == ("supported" if equal else "inconclusive"), found.reason
        assert math.isfinite(found.p_value)


# --- data with holes ------------------------------------------------------------------------


def test_one_seed_decides_nothing():
    found = verdict(ORDER, [[0.1, 0.5, 0.9]])
    assert (found.outcome, found.p_value, found.comparisons) == ("inconclusive", None, ())
    assert "Only 1 seed" in found.reason


def test_no_rows():
    for found in judge(EVERY, Results([]), METRICS):
        assert found.outcome == "inconclusive"
        assert "No seed has a result" in found.reason
        assert "(no finished trial)" in found.reason


def test_partly_missing_seeds_leave_the_common_ones():
    values = noisy([0.8, 0.85, 0.9], 0.003, seeds=5)
    rows = [r for r in results(ORDER, values).arms if (r.arm, r.seed) != ("linear", 1)]
    (found,) = judge(ORDER, Results(rows), METRICS)
    kept = verdict(ORDER, np.delete(values, 1, axis=0))
    assert found.p_value == pytest.approx(kept.p_value)
    assert "4 seeds" in found.reason
    assert "Missing: linear (seed 1 not finished)." in found.reason


def test_a_claim_needs_only_the_arms_it_is_about():
    study = make(
        {"shape": "best", "arm": "a"},
        {"shape": "beats", "arm": "a", "over": "b"},
        factors=[factor(["a", "b", "c"], scale="category")],
    )
    values = noisy([0.9, 0.8, 0.7], 0.003)
    rows = [r for r in results(study, values).arms if r.arm != "c"]
    best, beats = judge(study, Results(rows), METRICS)
    assert best.outcome == "inconclusive"
    assert "c (no finished trial)" in best.reason
    assert beats.outcome == "supported"
    assert "Missing" not in beats.reason


def test_a_diverged_run_is_missing_and_said_to_be():
    values = noisy([0.8, 0.85, 0.9], 0.003, seeds=4)
    values[2, 0] = math.nan
    found = verdict(ORDER, values)
    assert found.outcome == "supported"
    assert "3 seeds" in found.reason
    assert "none (seed 2 not a finite number)" in found.reason


def diverging(rows, *gone):
    """Rows of which some, by arm and seed, have diverged."""
    return [
        dataclasses.replace(row, metrics={"accuracy": math.nan}, diverged_at=7)
        if (row.arm, row.seed) in gone
        else row
        for row in rows
    ]


def test_no_claim_is_supported_on_the_seeds_that_did_not_diverge():
    rows = results(ORDER, noisy([0.8, 0.85, 0.9], 0.003, seeds=4)).arms
    (found,) = judge(ORDER, Results(diverging(rows, ("none", 2))), METRICS)
    assert found.outcome == "inconclusive"
    assert "but none diverged with other seeds." in found.reason
    assert "Missing: none (seed 2 diverged)." in found.reason


def test_a_contradiction_stays_one_where_seeds_diverged():
    rows = results(ORDER, noisy([0.9, 0.85, 0.8], 0.003, seeds=5)).arms
    (found,) = judge(ORDER, Results(diverging(rows, ("none", 2))), METRICS)
    assert found.outcome == "not supported"
    assert "none (seed 2 diverged)" in found.reason


def test_an_arm_that_always_diverges_is_not_asked_for_more_seeds():
    rows = results(ORDER, noisy([0.8, 0.85, 0.9], 0.003, seeds=2)).arms
    (found,) = judge(ORDER, Results(diverging(rows, ("none", 0), ("none", 1))), METRICS)
    assert found.outcome == "inconclusive"
    assert found.outlook == "More seeds would not settle it while none diverges with each."


def test_many_gaps_are_counted():
    study = make({"shape": "increasing"}, factors=[factor(list(range(8)))])
    (found,) = judge(study, Results([]), METRICS)
    assert found.reason.endswith("3 (no finished trial); 4 more arms.")


def test_the_same_trial_twice_is_refused():
    row = Row("none", 3, {"accuracy": 0.1})
    with pytest.raises(ValueError, match="'none' seed 3 twice"):
        judge(ORDER, Results([row, row]), METRICS)


# --- how it is written ----------------------------------------------------------------------


def test_a_verdict_is_plain_data():
    for found in verdicts(EVERY, noisy([0.5, 0.52, 0.51, 0.5, 0.5, 0.5], 0.01, seeds=4)):
        plain = json.loads(json.dumps(dataclasses.asdict(found)))
        assert plain["says"] == "So it is."
        assert plain["shape"] == found.shape
        assert set(plain["comparisons"][0]) == {
            "statement", "difference", "effect", "p_value", "p_adjusted",
        }  # fmt: skip


def test_sentences_are_sentences():
    for rng in range(10):
        for found in verdicts(EVERY, noisy([0.5, 0.52, 0.51, 0.5, 0.5, 0.52], 0.01, 4, rng)):
            for text in (found.reason, found.outlook):
                assert "  " not in text
                assert text == "" or text.endswith(".")
                assert " )" not in text


def test_reading_a_study_does_not_import_scipy():
    code = "import sys, lelkern.ablation.study; print({'scipy', 'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
