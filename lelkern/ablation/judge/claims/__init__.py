"""The shapes of result that a study can predict, each as statements to test.

Every function takes the arms' labels and values of shape (seeds, arms) in which higher is better.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lelkern.ablation.comparison import Claim, Comparison, beats
from lelkern.ablation.metrics import Metric
from lelkern.ablation.study import Factor, format_value

Values = NDArray[np.float64]


def interior_maximum(labels: Sequence[str], values: Values, factor: Factor) -> Claim:
    r"""Some inner value beats both ends of a numeric factor.

    .. math:: d_{se} = \operatorname{median}_{i \text{ inner}} y_{si} - y_{se}

    is one number a seed s and end e, and gets a paired one-sided t-test. If no inner arm were
    better than the end, the median of arms as good as the end would be the most favourable case,
    and symmetric noise centres d at 0 there: a positive mean shows that some inner arm is better.
    Unlike many-to-one tests with a pooled variance (Dunnett 1955), this stays at its level when
    collapsed arms vary more than the others; unlike one paired test per inner arm, it pays for no
    multiplicity, which three seeds could not. A peak narrower than half of the inner values goes
    unnoticed.

    The opposite is that an end beats *every* inner value: the largest p-value of its paired
    t-tests counts.
    """
    order = np.argsort([float(level) for level in factor.levels()])
    low, *inner, high = (int(i) for i in order)
    median = np.median(values[:, inner], axis=1)
    typical = f"the median over inner values of {_name(factor)}"
    needed = tuple(beats((typical, labels[end]), median, values[:, end]) for end in (low, high))
    means = values.mean(axis=0)
    best = int(means.argmax())
    return Claim(
        test=f"paired one-sided t-tests of the median of {len(inner)} inner values against each "
        "end; both must be significant, and the best mean must be an inner one",
        needed=needed,
        against=tuple(_beats_all(labels, values, end, inner) for end in (low, high)),
        remark=f"the best mean is that of {labels[best]}",
        obstacle="" if best in inner else f"the best mean is that of an end, {labels[best]}",
    )


def _beats_all(labels: Sequence[str], values: Values, end: int, inner: Sequence[int]) -> Comparison:
    each = [beats((labels[end], labels[i]), values[:, end], values[:, i]) for i in inner]
    weakest = max(each, key=lambda comparison: comparison.p_value)
    difference = min(comparison.difference for comparison in each)
    return Comparison(f"{labels[end]} beats every inner value", difference, weakest.p_value)


def increasing(values: Values, factors: Sequence[Factor], metric: Metric) -> Claim:
    r"""The metric improves with every factor.

    .. math:: L = \sum_j j R_j

    where R_j sums the ranks of level j within blocks; a block is one seed at one value of the
    other factor. Ranks need neither a line nor equal variances between blocks. Source: Page
    (1963), "Ordered Hypotheses for Multiple Treatments", Journal of the American Statistical
    Association 58. With two levels there is no trend to rank, and a paired t-test compares them.
    """
    grid = values.reshape(len(values), *(len(factor.levels()) for factor in factors))
    needed, against = [], []
    for axis, factor in enumerate(factors, start=1):
        order = np.argsort([float(level) for level in factor.levels()])
        levels = [format_value(factor.levels()[i]) for i in order]
        by_level = np.moveaxis(grid, axis, -1)[..., order]  # (seeds, other levels, levels)
        rise = float((by_level[..., -1] - by_level[..., 0]).mean())
        span = f"{_name(factor)} ({levels[0]} to {levels[-1]})"
        better, worse = (
            f"{metric.label} improves with {span}",
            f"{metric.label} worsens with {span}",
        )
        needed.append(Comparison(better, rise, _trend_p(by_level)))
        against.append(Comparison(worse, -rise, _trend_p(by_level[..., ::-1])))
    names = " and ".join(_name(factor) for factor in factors)
    several = "; each must be significant" if len(factors) > 1 else ""
    blocks = "seeds x values of the other factor" if len(factors) > 1 else "seeds"
    tests = {_trend_test(len(factor.levels())) for factor in factors}
    return Claim(
        test=f"{' / '.join(sorted(tests))} over {names}, blocks: {blocks}{several}",
        needed=tuple(needed),
        against=tuple(against),
    )


def _trend_test(levels: int) -> str:
    return "Page's trend test" if levels > 2 else "paired one-sided t-test of the two values"


def _trend_p(by_level: Values) -> float:
    levels = by_level.shape[-1]
    if levels > 2:
        return float(stats.page_trend_test(by_level.reshape(-1, levels)).pvalue)
    by_seed = by_level.reshape(len(by_level), -1, levels).mean(axis=1)
    return beats(("", ""), by_seed[:, 1], by_seed[:, 0]).p_value


def _name(factor: Factor) -> str:
    return factor.key.rsplit(".", 1)[-1]


def ordered(labels: Sequence[str], values: Values) -> Claim:
    """Each arm beats the one before it: a paired one-sided t-test for every adjacent pair."""
    pairs = [(i, i + 1) for i in range(len(labels) - 1)]
    return Claim(
        test="paired one-sided t-tests of each value against the one before it; all must be "
        "significant",
        needed=tuple(_beats(labels, values, after, before) for before, after in pairs),
        against=tuple(_beats(labels, values, before, after) for before, after in pairs),
    )


def best(labels: Sequence[str], values: Values, arm: str) -> Claim:
    """One arm beats every other: a paired one-sided t-test against each of them."""
    winner = labels.index(arm)
    others = [i for i in range(len(labels)) if i != winner]
    return Claim(
        test=f"paired one-sided t-tests of {arm} against each other arm; all must be significant",
        needed=tuple(_beats(labels, values, winner, i) for i in others),
        against=tuple(_beats(labels, values, i, winner) for i in others),
    )


def _beats(labels: Sequence[str], values: Values, better: int, worse: int) -> Comparison:
    return beats((labels[better], labels[worse]), values[:, better], values[:, worse])
