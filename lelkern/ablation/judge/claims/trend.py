"""``increasing`` and ``decreasing``: the metric improves, or worsens, along a factor."""

from typing import Literal

from lelkern.ablation.judge.claims.claim import Claim
from lelkern.ablation.judge.names import Grid, Level, Track


class Trend(Claim):
    """The metric improves (``increasing``) or worsens (``decreasing``) along a factor.

    Attributes:
        along: the factor; by default every factor of numbers, each of which has to show it.
        of: the level of the other axis at which it is so; by default at all of them.
    """

    shape: Literal["increasing", "decreasing"]
    along: str | None = None
    of: Level | None = None

    def resolve(self, grid: Grid) -> tuple[Track, ...]:
        """Return the arms along every factor that is meant."""
        numeric = [axis.key for axis in grid.axes if axis.is_numeric]
        keys = numeric if self.along is None and self.of is None and numeric else [self.along]
        axes = [grid.only_axis("along", key, numeric=True) for key in keys]
        return tuple(grid.track(axis, self.of) for axis in axes)
