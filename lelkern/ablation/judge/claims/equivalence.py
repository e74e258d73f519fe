"""``equal-within`` and ``not-worse``: what a stated margin makes of a difference."""

from typing import Literal

from pydantic import Field

from lelkern.ablation.judge.claims.two_sided import TwoSided


class EqualWithin(TwoSided):
    """``arm`` and ``over`` differ by less than a margin, at each of the levels.

    Attributes:
        margin: the smallest difference that matters, in the units of the metric: 0.01 is one
            point of accuracy. State it before you see the results.
    """

    shape: Literal["equal-within"]
    margin: float = Field(gt=0)


class NotWorse(TwoSided):
    """``arm`` is worse than ``over`` by less than a margin, at each of the levels.

    Attributes:
        margin: as of :class:`EqualWithin`.
    """

    shape: Literal["not-worse"]
    margin: float = Field(gt=0)
