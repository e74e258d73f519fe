import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lelkern.methods.metric import METRICS
from lelkern.ablation.statistics import Row, common_blocks, estimate, measured, summarize

NAN = math.nan


def row(arm, seed, value, **metrics):
    return Row(arm, seed, {"knn": value, **metrics})


def test_interval_of_a_worked_example():
    # Mean 3, s = 1, t(0.975, 4) = 2.7764451: half-width 2.7764451 / sqrt(5) * sqrt(2.5).
    e = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (e.mean, e.n) == (3.0, 5)
    assert e.std == pytest.approx(math.sqrt(2.5))
    assert e.half_width == pytest.approx(2.7764451 * math.sqrt(2.5 / 5), rel=1e-7)


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


def test_blocks_are_the_common_seeds_and_every_gap_is_named():
    rows = [row("a", s, s / 10) for s in (2, 0, 1, 3)]
    rows += [row("b", s, 1 + s / 10) for s in (0, 1, 2)] + [row("b", 3, NAN)]
    rows += [row("c", s, 2 + s / 10) for s in (3, 1, 2)]
    blocks = common_blocks(rows, ["a", "b", "c"], "knn")
    assert blocks.seeds == (1, 2)
    np.testing.assert_array_equal(blocks.values, [[0.1, 1.1, 2.1], [0.2, 1.2, 2.2]])
    assert blocks.gaps == ("b (seed 3 not a finite number)", "c (seed 0 not finished)")


def test_blocks_without_rows():
    blocks = common_blocks([], ["a", "b"], "knn")
    assert blocks.values.shape == (0, 2)
    assert blocks.gaps == ("a (no finished trial)", "b (no finished trial)")


@pytest.mark.parametrize(
    ("name", "value", "text", "difference"),
    [
        ("linear_probe", 0.9312, "93.1 %", "+93.1 points"),
        ("contrastive_entropy", 1.234, "1.23 nats", "+1.23 nats"),
        ("alignment", -0.5, "-0.500", "-0.500"),
        ("parameters", 24e6, "24,000,000", "+24,000,000"),
    ],
)
def test_metrics_are_written_with_their_unit(name, value, text, difference):
    assert METRICS[name].format(value) == text
    assert METRICS[name].difference(value) == difference


def test_fractions_are_better_when_higher_and_have_percent_axes():
    for metric in METRICS.values():
        if metric.is_fraction:
            assert metric.better == "higher"
            assert metric.axis_label.endswith("(%)")
            assert metric.shown(0.5) == 50
        else:
            assert metric.better != "higher"
            assert metric.shown(0.5) == 0.5
