"""What a few seeds say for one statement: a p-value, and the power that more seeds would have."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05

Values = NDArray[np.float64]

EXACT_LEVELS, EXACT_BLOCKS = 8, 20
"""Up to these sizes the distribution of Page's statistic is computed, above it is normal."""


class Evidence(Protocol):
    """What the seeds say for a statement."""

    @property
    def p_value(self) -> float:
        """One-sided p-value: how often noise alone would look at least this convincing."""

    @property
    def beyond(self) -> float:
        """Distance by which the observed means agree with the statement; below 0 if they do not."""

    def power(self, seeds: Values, spread: float, level: float) -> Values:
        """Return the probability that the p-value of so many seeds is at most the level.

        Args:
            seeds: numbers of seeds, of any shape.
            spread: true standard deviation between seeds, in units of the observed one; the true
                mean is as observed.
            level: of the test.
        """


@dataclass(frozen=True)
class Paired:
    r"""A paired one-sided t-test of "the mean difference is above a threshold".

    .. math:: t = \frac{\bar d - \delta}{s_d / \sqrt n}, \qquad n - 1 \text{ degrees of freedom}

    Pairing removes what a seed does to both arms, and the test is exact for normal differences
    whatever the variances of the two arms. Its power is that of the noncentral t distribution with
    :math:`(\bar d - \delta) \sqrt n / s_d`. Source: Student (1908), Biometrika 6.

    If all differences are equal, t is undefined. Accuracies are multiples of one test image, so
    that this happens by chance; then only their sign is used: p = 2^-n, or 1 if they are not
    above the threshold (the sign test).

    Attributes:
        beyond: mean difference, less the threshold.
        std: standard deviation of the differences; 0 if all are equal.
        p_value: one-sided.
    """

    beyond: float
    std: float
    p_value: float

    def power(self, seeds: Values, spread: float, level: float) -> Values:
        """Return the power with other numbers of seeds (see :class:`Evidence`)."""
        from scipy import special

        if self.std == 0:
            return np.where((self.beyond > 0) & (0.5**seeds <= level), 1.0, 0.0)
        critical = special.stdtrit(seeds - 1, 1 - level)
        shift = self.beyond / (self.std * spread) * np.sqrt(seeds)
        return np.asarray(1 - special.nctdtr(seeds - 1, shift, critical))


def paired(better: Values, worse: Values, above: float = 0.0) -> list[Paired]:
    """Test "the mean of better - worse is above a threshold", for several pairs at once.

    Args:
        better: (pairs, n) one value a seed, n >= 2.
        worse: (pairs, n) the same seeds.
        above: the threshold.
    """
    from scipy import special

    n = better.shape[-1]
    d = better - worse - above
    scale = np.maximum(np.abs(better).max(-1), np.abs(worse).max(-1))
    rounding = 1e-12 * np.maximum(scale, abs(above))
    mean = d.sum(-1) / n
    std = np.sqrt(((d - mean[:, None]) ** 2).sum(-1) / (n - 1))
    equal = d.max(-1) - d.min(-1) <= rounding
    t = mean / np.where(equal, 1.0, std / math.sqrt(n))
    sign_test = np.where(mean > rounding, 0.5**n, 1.0)
    p = np.where(equal, sign_test, special.stdtr(n - 1, -t))
    return [
        Paired(float(m), float(s), float(q))
        for m, s, q in zip(mean, np.where(equal, 0.0, std), p, strict=True)
    ]


@dataclass(frozen=True)
class Both:
    """Two statements that both have to hold: the larger p-value counts (Berger 1982).

    Their joint power is at least the sum of theirs less 1, which is used.
    """

    first: Evidence
    second: Evidence

    @property
    def p_value(self) -> float:
        """The larger p-value."""
        return max(self.first.p_value, self.second.p_value)

    @property
    def beyond(self) -> float:
        """The smaller distance."""
        return min(self.first.beyond, self.second.beyond)

    def power(self, seeds: Values, spread: float, level: float) -> Values:
        """Return a lower bound of the power (see :class:`Evidence`)."""
        both = self.first.power(seeds, spread, level) + self.second.power(seeds, spread, level) - 1
        return np.maximum(0.0, both)


@dataclass(frozen=True)
class PageTrend:
    r"""Page's test of "the values rise along the levels".

    .. math:: L = \sum_j j R_j

    where R_j sums the ranks of level j within blocks; a block is one seed at one value of the
    other factor. Ranks need neither a line nor equal variances between blocks. Source: Page
    (1963), "Ordered Hypotheses for Multiple Treatments", Journal of the American Statistical
    Association 58.

    Its power is approximated by a normal distribution of the seeds' shares of L: their mean and
    their standard deviation as observed, the critical value from the variance without a trend.

    Attributes:
        p_value: one-sided.
        beyond: mean share of a seed, less its expectation without a trend.
        std: standard deviation of the shares.
        null_std: the same without a trend.
    """

    p_value: float
    beyond: float
    std: float
    null_std: float

    def power(self, seeds: Values, spread: float, level: float) -> Values:
        """Return the power with other numbers of seeds (see :class:`Evidence`)."""
        from scipy import special

        critical = special.ndtri(1 - level) * self.null_std
        margin = np.sqrt(seeds) * self.beyond - critical
        if self.std == 0:
            return np.where(margin >= 0, 1.0, 0.0)
        return np.asarray(special.ndtr(margin / (self.std * spread)))


def page_trend(values: Values) -> PageTrend:
    """Test "the values rise along the levels" by ranks within blocks.

    Args:
        values: (seeds, rows, levels), at least 2 seeds and 3 levels; seeds x rows are the blocks.
    """
    seeds, rows, levels = values.shape
    scale = np.abs(values).max() or 1.0
    ranks = _ranks(np.asarray(values / scale).round(12).reshape(-1, levels))
    statistic = ranks @ np.arange(1.0, levels + 1)
    share = statistic.reshape(seeds, rows).sum(-1) - rows * levels * (levels + 1) ** 2 / 4
    block_variance = levels**2 * (levels + 1) ** 2 * (levels - 1) / 144
    ties = bool((ranks != np.round(ranks)).any() or (np.ptp(ranks, axis=-1) < levels - 1).any())
    return PageTrend(
        p_value=page_p(float(statistic.sum()), seeds * rows, levels, exact=not ties),
        beyond=float(share.mean()),
        std=float(share.std(ddof=1)),
        null_std=math.sqrt(rows * block_variance),
    )


def _ranks(values: Values) -> Values:
    """Rank every row from 1; equal values share the mean of their ranks."""
    below = (values[:, None, :] < values[:, :, None]).sum(-1)
    equal = (values[:, None, :] == values[:, :, None]).sum(-1)
    return below + (equal + 1) / 2


def page_p(statistic: float, blocks: int, levels: int, exact: bool) -> float:
    """Return how often L is at least as large if all orders of the levels are equally likely.

    Args:
        statistic: L.
        blocks: their number.
        levels: their number.
        exact: whether there are no ties, so that the distribution of L is known.
    """
    from scipy import special

    if exact and levels <= EXACT_LEVELS and blocks <= EXACT_BLOCKS:
        least, survival = _null_distribution(blocks, levels)
        return float(min(1.0, survival[round(statistic) - least]))
    mean = blocks * levels * (levels + 1) ** 2 / 4
    std = math.sqrt(blocks * levels**2 * (levels + 1) ** 2 * (levels - 1) / 144)
    return float(special.ndtr(-(statistic - mean) / std))


@lru_cache
def _null_distribution(blocks: int, levels: int) -> tuple[int, Values]:
    """Return the least L, and P(L >= l) for l from there on."""
    one = _one_block(levels)
    every = np.ones(1)
    for _ in range(blocks):
        every = np.convolve(every, one)
    least = blocks * sum(j * (levels + 1 - j) for j in range(1, levels + 1))
    return least, np.cumsum(every[::-1])[::-1]


@lru_cache
def _one_block(levels: int) -> Values:
    """Return the probabilities of L of one block, from the least on.

    Ranks are given to level 1, 2, ...; orders that used the same ranks are counted together.
    """
    most = sum(j * j for j in range(1, levels + 1))
    counts = {0: np.eye(1, most + 1)[0]}
    for level in range(1, levels + 1):
        following: dict[int, Values] = {}
        for used, count in counts.items():
            for rank in range(1, levels + 1):
                if not used >> rank & 1:
                    key = used | 1 << rank
                    share = following.setdefault(key, np.zeros(most + 1))
                    share[level * rank :] += count[: most + 1 - level * rank]
        counts = following
    (total,) = counts.values()
    least = sum(j * (levels + 1 - j) for j in range(1, levels + 1))
    return total[least:] / math.factorial(levels)


def holm(p_values: Sequence[float]) -> list[float]:
    r"""Return p-values that allow for their number.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1) \, p_{(j)})

    The probability that any true null hypothesis among them falls to 5 % is at most 5 %, whatever
    their dependence. Source: Holm (1979), "A Simple Sequentially Rejective Multiple Test
    Procedure", Scandinavian Journal of Statistics 6.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    stepped = (min(1.0, (len(order) - j) * p_values[i]) for j, i in enumerate(order))
    adjusted = [0.0] * len(order)
    for i, p in zip(order, itertools.accumulate(stepped, max), strict=True):
        adjusted[i] = p
    return adjusted
