"""Page's test: whether values rise along the levels of a factor."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lelkern.ablation.judge.evidence import Values

EXACT_LEVELS, EXACT_BLOCKS = 8, 20
"""Up to these sizes the distribution of Page's statistic is computed, above it is normal."""


@dataclass(frozen=True)
class PageTrend:
    r"""Page's test of "the values rise along the levels".

    .. math:: L = \sum_j j R_j

    where R_j sums the ranks of level j within blocks, the seeds. Ranks need neither a line nor
    equal variances between blocks. Source: Page (1963), "Ordered Hypotheses for Multiple
    Treatments", Journal of the American Statistical Association 58.

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
        values: (seeds, levels), at least 2 seeds and 3 levels.
    """
    seeds, levels = values.shape
    scale = np.abs(values).max() or 1.0
    ranks = _ranks(np.asarray(values / scale).round(12))
    statistic = ranks @ np.arange(1.0, levels + 1)
    share = statistic - levels * (levels + 1) ** 2 / 4
    block_variance = levels**2 * (levels + 1) ** 2 * (levels - 1) / 144
    ties = bool((np.diff(np.sort(ranks, axis=-1)) == 0).any())
    return PageTrend(
        p_value=page_p(float(statistic.sum()), seeds, levels, exact=not ties),
        beyond=float(share.mean()),
        std=float(share.std(ddof=1)),
        null_std=math.sqrt(block_variance),
    )


def _ranks(values: Values) -> Values:
    """Rank every row from 1; equal values share the mean of their ranks."""
    below = (values[:, None, :] < values[:, :, None]).sum(-1)
    equal = (values[:, None, :] == values[:, :, None]).sum(-1)
    return below + (equal + 1) / 2


def page_p(statistic: float, blocks: int, levels: int, exact: bool) -> float:
    """Return the probability of an L at least as large if all orders of levels are equally likely.

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
