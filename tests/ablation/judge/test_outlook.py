import math
import re

import numpy as np
import pytest
from simulated_results import factor, make, noisy, verdict

from lelkern.ablation.judge.evidence import ALPHA
from lelkern.ablation.judge.outlook import MoreSeeds, look_ahead
from lelkern.ablation.judge.paired import paired
from lelkern.ablation.judge.statement import Statement, differences
from lelkern.methods.metric import Metric

METRIC = Metric("accuracy", "higher", "%", 1)
PAIR = make(
    {"shape": "beats", "arm": "b", "over": "a"}, factors=[factor(["a", "b"], scale="category")]
)


def statements(*rows):
    d = np.array(rows)
    texts = [f"statement {i}" for i in range(len(rows))]
    return differences(texts, d, np.zeros_like(d), METRIC)


def with_moments(mean, std, n):
    d = np.linspace(-1, 1, n)
    return mean + std * (d - d.mean()) / d.std(ddof=1)


def test_as_many_seeds_give_a_power_of_80_percent():
    more, text = look_ahead(statements(d := with_moments(0.01, 0.02, 4)), 4)
    draws = np.random.default_rng(0).normal(d.mean(), d.std(ddof=1), (20_000, 4 + more.estimate))
    zeros = np.zeros_like(draws)
    rate = np.mean([e.p_value <= ALPHA for e in paired(draws, zeros)])
    fewer = np.mean([e.p_value <= ALPHA for e in paired(draws[:, 1:], zeros[:, 1:])])
    error = 4 * math.sqrt(0.8 * 0.2 / 20_000)
    assert fewer - error < 0.8 < rate + error
    assert text == (
        f"About {more.estimate} more seeds ({more.low} to more than 100) would settle it if the "
        "difference is as observed."
    )


def test_the_range_is_that_of_the_standard_deviation():
    # chi-square of 9 degrees of freedom at 10 and 90 %: 4.168 and 14.684.
    plain, _ = look_ahead(statements(with_moments(0.01, 0.02, 10)), 10)
    low, _ = look_ahead(statements(with_moments(0.01, 0.02 * math.sqrt(9 / 14.684), 10)), 10)
    high, _ = look_ahead(statements(with_moments(0.01, 0.02 * math.sqrt(9 / 4.168), 10)), 10)
    assert (plain.low, plain.high) == (low.estimate, high.estimate)
    assert plain.low < plain.estimate < plain.high


def test_the_weakest_statement_counts():
    easy, hard = with_moments(0.02, 0.02, 5), with_moments(0.01, 0.02, 5)
    both, _ = look_ahead(statements(easy, hard), 5)
    assert both == look_ahead(statements(hard), 5)[0]
    assert both.estimate > look_ahead(statements(easy), 5)[0].estimate


def test_a_stricter_level_needs_more():
    one = statements(with_moments(0.02, 0.02, 5))
    assert look_ahead(one, 5, ALPHA / 10)[0].estimate > look_ahead(one, 5)[0].estimate


def test_what_points_the_wrong_way():
    more, text = look_ahead(
        statements(with_moments(0.02, 0.02, 4), with_moments(-0.01, 0.02, 4)), 4
    )
    assert more is None
    assert text.startswith("On average it is not so that statement 1 (-1.0 points)")


def test_what_points_the_wrong_way_may_be_contradicted():
    open_ = statements(with_moments(-0.01, 0.02, 4))
    one = statements(with_moments(0.01, 0.01, 4))
    more, text = look_ahead(open_, 4, against=one)
    assert more == look_ahead(one, 4)[0]
    shown = f"about {more.estimate} more seeds ({more.low} to {more.high})"
    assert text.endswith(f"if that stays, and {shown} would show that statement 0.")
    # Of several it is the one that takes fewest, at the level at which Holm begins.
    d = with_moments(-0.01, 0.02, 4), with_moments(0.01, 0.02, 4), with_moments(0.02, 0.02, 4)
    more, text = look_ahead(open_, 4, against=statements(*d))
    assert more == look_ahead(statements(d[2]), 4, ALPHA / 3)[0]
    assert text.endswith("would show that statement 2.")


def test_nor_may_what_points_the_right_way_nor_what_takes_too_many():
    open_ = statements(with_moments(-0.01, 0.02, 4))
    against = statements(with_moments(-0.01, 0.02, 4), with_moments(0.001, 0.02, 4))
    more, text = look_ahead(open_, 4, against=against)
    assert more is None
    assert text.endswith("more seeds would not show it if that stays.")


def test_more_than_can_be_asked_for():
    more, text = look_ahead(statements(with_moments(0.001, 0.02, 4)), 4)
    assert more is None
    assert "More than 100 more seeds" in text


def test_one_more_is_singular():
    more, text = look_ahead(statements(np.full(4, 0.1)), 4)
    assert more == MoreSeeds(1, 1, 1)
    assert text.startswith("About 1 more seed (1 to 1)")


@pytest.mark.parametrize(
    "claim",
    [
        {"shape": "increasing"},
        {"shape": "ordered"},
        {"shape": "equal-within", "arm": 1, "over": 2, "margin": 0.01},
        {"shape": "not-worse", "arm": 1, "over": 2, "margin": 0.01},
        {"shape": "recovers", "arm": 3, "value": 0.5},
        {"shape": "saturates", "until": 2, "margin": 0.02},
        {"shape": "best", "arm": 3},
        {"shape": "interior-maximum"},
    ],
    ids=lambda claim: claim["shape"],
)
def test_every_inconclusive_verdict_says_what_more_seeds_would_do(claim):
    study = make(claim, factors=[factor([1, 2, 3])])
    numbers = 0
    for rng in range(40):
        found = verdict(study, noisy([0.5, 0.503, 0.506], 0.01, rng=rng))
        assert bool(found.outlook) == (found.outcome == "inconclusive")
        if found.more_seeds:
            numbers += 1
            assert re.search(rf"[Aa]bout {found.more_seeds.estimate} more seeds?\b", found.outlook)
            high = found.more_seeds.high
            assert 1 <= found.more_seeds.low <= found.more_seeds.estimate <= (high or 100)
        else:
            assert re.search(r"^$|not so that|More than 100|cannot be said", found.outlook)
    assert numbers > 0


def test_fewer_than_two_seeds_say_nothing():
    found = verdict(PAIR, [[0.5, 0.6]])
    assert (found.outcome, found.more_seeds) == ("inconclusive", None)
    assert "cannot be said from fewer than 2" in found.outlook


def test_what_was_foretold_is_what_it_takes():
    # A true difference of one standard deviation: the estimates scatter around the right number.
    right = 8  # seeds for a power of 80 %, from tables of the one-sample t-test (one-sided, d = 1)
    found = [
        4 + more.estimate
        for rng in range(300)
        if (more := look_ahead_from(np.random.default_rng(rng).normal(0.01, 0.01, 4)))
    ]
    assert np.quantile(found, 0.25) <= right <= np.quantile(found, 0.9)


def look_ahead_from(d):
    one = Statement("s", d.mean(), paired(d[None], np.zeros((1, 4)))[0], METRIC)
    return look_ahead([one], 4)[0]
