"""What a few seeds say for a statement: a p-value, and the power that more seeds would have.

The tests that give it are files of their own: :mod:`~.paired` and :mod:`~.page`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALPHA = 0.05

Values: TypeAlias = "NDArray[np.float64]"


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
        return both.clip(min=0.0)


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
