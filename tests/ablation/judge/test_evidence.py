import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from lelkern.ablation.judge.evidence import ALPHA, Both, holm
from lelkern.ablation.judge.page import page_p, page_trend
from lelkern.ablation.judge.paired import paired

DRAWS = 20_000
SLACK = 4 * math.sqrt(ALPHA * (1 - ALPHA) / DRAWS)  # four standard errors of a rate of 5 %


def p_values(evidence):
    return np.array([e.p_value for e in evidence])


# --- paired t-test --------------------------------------------------------------------------


@pytest.mark.parametrize("above", [-0.5, 0.0, 0.5])
def test_paired_p_is_that_of_scipy(above):
    a, b = np.random.default_rng(0).normal(size=(2, 4, 5))
    found = paired(a, b, above)
    expected = stats.ttest_rel(a - above, b, axis=-1, alternative="greater").pvalue
    np.testing.assert_allclose(p_values(found), expected, rtol=1e-9)
    np.testing.assert_allclose([e.beyond for e in found], (a - b).mean(-1) - above)


@pytest.mark.parametrize(
    ("shift", "n", "p"), [(0.1, 3, 0.125), (0.1, 5, 1 / 32), (0.0, 3, 1.0), (-0.1, 5, 1.0)]
)
def test_equal_differences_count_by_their_sign(shift, n, p):
    worse = np.linspace(0.3, 0.7, n)[None]  # differences are equal only up to rounding
    (found,) = paired(worse + shift, worse)
    assert found.p_value == p
    assert found.std == 0


@pytest.mark.parametrize("n", [2, 3, 8])
def test_paired_keeps_its_level_at_the_threshold(n):
    generator = np.random.default_rng(n)
    a, b = generator.normal(size=(2, DRAWS, n)) * [[[0.01]], [[0.2]]]  # unequal variances
    rate = (p_values(paired(a + 0.03, b, above=0.03)) <= ALPHA).mean()
    assert abs(rate - ALPHA) <= SLACK


def test_two_one_sided_tests_keep_their_level_at_the_margin():
    d = np.random.default_rng(0).normal(0.03, 0.005, (DRAWS, 4))
    zero = np.zeros_like(d)
    above, below = paired(d, zero, -0.03), paired(zero, d, -0.03)
    both = [Both(a, b) for a, b in zip(above, below, strict=True)]
    rate = (p_values(both) <= ALPHA).mean()
    assert abs(rate - ALPHA) <= SLACK  # exact here: the other margin is far away
    assert both[0].p_value == max(above[0].p_value, below[0].p_value)


# --- Page's test ----------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(3, 6), st.integers(2, 9), st.integers(0, 10**6))
def test_page_is_that_of_scipy(levels, seeds, rng):
    values = np.random.default_rng(rng).normal(size=(seeds, levels))
    expected = stats.page_trend_test(values, method="exact")
    assert page_trend(values).p_value == pytest.approx(expected.pvalue)


@settings(deadline=None)
@given(st.integers(3, 9), st.integers(2, 5), st.integers(0, 10**6))
@example(7, 2, 7873)  # five levels tie between the other two, and so have whole ranks
def test_page_with_ties_or_many_levels_is_that_of_scipy(levels, seeds, rng):
    values = np.random.default_rng(rng).integers(3, size=(seeds, levels)) / 10
    values[0, 1] = values[0, 0]  # a tie at least, with which there is no exact distribution
    expected = stats.page_trend_test(values, method="asymptotic")
    assert page_trend(values).p_value == pytest.approx(expected.pvalue)


def test_page_by_hand():
    # Three levels in one block: L = 14 for the order 1 2 3, and one of six orders has it.
    assert page_p(14, 1, 3, exact=True) == pytest.approx(1 / 6)
    assert page_p(13, 1, 3, exact=True) == pytest.approx(3 / 6)  # 1 3 2 and 2 1 3 as well
    assert page_p(10, 1, 3, exact=True) == pytest.approx(1)


def test_page_ignores_rounding():
    values = np.array([[0.1, 0.3, 0.3], [0.2, 0.4, 0.4]])
    shaken = values + np.array([0, 0, 1e-16])
    assert page_trend(shaken) == page_trend(values)


# --- Holm's correction ----------------------------------------------------------------------


def test_holm_by_hand():
    # Sorted: .005 x 4, .01 x 3, .03 x 2, .04 x 1, none less than one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferronis(p):
    adjusted = holm(p)
    assert all(a <= b <= min(1, len(p) * a) for a, b in zip(p, adjusted, strict=True))
    ranked = [b for _, b in sorted(zip(p, adjusted, strict=True))]
    assert ranked == sorted(ranked)


def test_holm_keeps_the_rate_of_any_false_alarm():
    # Five arms against one: dependent, as in a study. All are equal.
    values = np.random.default_rng(0).normal(size=(6, 4000, 4))
    p = np.stack([p_values(paired(values[i], values[0])) for i in range(1, 6)])
    rate = np.mean([min(holm(line)) <= ALPHA for line in p.T])
    assert rate <= ALPHA + 4 * math.sqrt(ALPHA * (1 - ALPHA) / 4000)
    assert (p.min(axis=0) <= ALPHA).mean() > 2 * ALPHA  # what it corrects


# --- power ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("level", [0.05, 0.005])
def test_power_of_the_paired_test_is_what_comes_out(seeds, level):
    (observed,) = paired(np.array([[0.0, 1.0, 3.0]]), np.zeros((1, 3)))
    spread = 0.7
    generator = np.random.default_rng(0)
    draws = generator.normal(observed.beyond, spread * observed.std, (DRAWS, seeds))
    rate = (p_values(paired(draws, np.zeros_like(draws))) <= level).mean()
    expected = observed.power(np.array([float(seeds)]), spread, level)[0]
    assert rate == pytest.approx(expected, abs=4 * 0.5 / math.sqrt(DRAWS))


def test_power_of_two_one_sided_tests_is_a_lower_bound():
    d = np.array([[-0.01, 0.0, 0.02]])
    zero = np.zeros_like(d)
    both = Both(paired(d, zero, -0.02)[0], paired(zero, d, -0.02)[0])
    std, mean = d.std(ddof=1), d.mean()
    draws = np.random.default_rng(0).normal(mean, std, (DRAWS, 8))
    zeros = np.zeros_like(draws)
    p = np.maximum(p_values(paired(draws, zeros, -0.02)), p_values(paired(zeros, draws, -0.02)))
    bound = both.power(np.array([8.0]), 1.0, ALPHA)[0]
    rate = (p <= ALPHA).mean()
    assert bound - 0.014 <= rate <= bound + 0.1  # four standard errors; the bound is close


def test_power_of_pages_test_is_near_what_comes_out():
    means = np.array([0.0, 0.5, 0.5, 1.0])
    generator = np.random.default_rng(0)
    many = page_trend(means + generator.normal(size=(2000, 4)))  # as good as the truth
    for seeds in (4, 8):
        draws = means + generator.normal(size=(2000, seeds, 4))
        rate = np.mean([page_trend(draw).p_value <= ALPHA for draw in draws])
        # The statistic is discrete and not normal: at four seeds that costs a few percent.
        assert many.power(np.array([float(seeds)]), 1.0, ALPHA)[0] == pytest.approx(rate, abs=0.08)


def test_equal_differences_need_five_seeds():
    (found,) = paired(np.full((1, 3), 0.1), np.zeros((1, 3)))
    assert list(found.power(np.array([4.0, 5.0]), 1.0, ALPHA)) == [0, 1]
