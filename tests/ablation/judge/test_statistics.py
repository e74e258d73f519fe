import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lelkern.ablation.judge.statistics import estimate, measured, summarize
from lelkern.ablation.results import Row

NAN = math.nan


def row(arm, seed, value, **metrics):
    return Row(arm, seed, {"knn": value, **metrics})


def test_interval_of_a_worked_example():
    # Mean 3, s = 1, t(0.975, 4) = 2.7764451: half-width 2.7764451 / sqrt(5) * sqrt(2.5).
    e = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (e.mean, e.n) == (3.0, 5)
    assert e.std == pytest.approx(math.sqrt(2.5))
    assert e.half_width == pytest.approx(2.7764451 * math.sqrt(2.5 / 5), rel=1e-7)


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=8))
def test_interval_is_that_of_scipy(values):
    e = estimate(values)
    low, high = (
        stats.ttest_1samp(values, 0).confidence_interval(0.95) if e.std else (e.mean, e.mean)
    )
    assert (e.mean - e.half_width, e.mean + e.half_width) == pytest.approx(
        (low, high), rel=1e-6, abs=1e-9
    )


def test_interval_covers_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(0.9, 0.02, (2000, 3))
    hits = [abs(e.mean - 0.9) <= e.half_width for e in map(estimate, draws)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)  # 3 standard errors


def test_one_seed_has_a_mean_and_no_interval():
    e = estimate([0.5])
    assert (e.mean, e.half_width, e.n, e.std) == (0.5, None, 1, None)


def test_equal_seeds_have_an_interval_of_zero_width():
    assert estimate([0.5, 0.5]).half_width == 0


def test_summary_keeps_the_orders_asked_for_and_leaves_out_what_has_no_value():
    rows = [
        row("b", 0, 0.2, alignment=1.0),
        row("a", 0, 0.4),
        row("b", 1, NAN, alignment=math.inf),
        row("other", 0, 0.1),
    ]
    table = summarize(rows, ["a", "b", "c"], ["knn", "alignment"])
    assert list(table) == ["a", "b", "c"]
    assert list(table["b"]) == ["knn", "alignment"]
    assert table["b"]["knn"].n == table["b"]["alignment"].n == 1
    assert list(table["a"]) == ["knn"]
    assert table["c"] == {}


def test_the_same_trial_twice_is_refused():
    with pytest.raises(ValueError, match="'a' seed 3 twice"):
        measured([row("a", 3, 0.1), row("a", 3, 0.2)], "knn")
