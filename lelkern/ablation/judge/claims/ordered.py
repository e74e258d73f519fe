"""``ordered``: each level beats the one before it."""

from typing import Literal

from lelkern.ablation.judge.claims.claim import Claim
from lelkern.ablation.judge.names import Grid, Level, Track


class Ordered(Claim):
    """Each level beats the one before it, from the smallest if they are numbers, else as listed.

    Attributes:
        along: the factor, or ``arm`` for named arms; it need not be named if it is all that varies.
        of: the level of the other axis at which it is so; by default on the mean of all of them.
    """

    shape: Literal["ordered"]
    along: str | None = None
    of: Level | None = None

    def resolve(self, grid: Grid) -> Track:
        """Return the arms along the factor."""
        return grid.track(grid.only_axis("along", self.along), self.of)
