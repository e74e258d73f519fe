"""``recovers``: a metric reaches a stated value."""

from typing import Literal

from pydantic import Field

from lelkern.ablation.judge.claims.claim import Claim
from lelkern.ablation.judge.names import EVERY, Grid, Levels, Pair


class Recovers(Claim):
    """The metric is at least as good as a stated value, or lies within a margin of it.

    Attributes:
        value: in the units of the metric: 0.9 is 90 % accuracy.
        margin: how far the metric may be from the value on either side; by default it has to be
            at least as good.
        arm: one or several arms, levels or baselines; by default every arm.
        at: one or several levels of the other axis; by default every level.
    """

    shape: Literal["recovers"]
    value: float
    margin: float | None = Field(default=None, gt=0)
    arm: Levels | None = None
    at: Levels = EVERY

    def resolve(self, grid: Grid) -> tuple[Pair, ...]:
        """Return the arms that have to reach the value, each as a pair with itself."""
        return grid.pairs(self.arm, None, self.at)
