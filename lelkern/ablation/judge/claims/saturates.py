"""``saturates``: more helps up to a level, and no longer from there on."""

from typing import Literal

from pydantic import Field

from lelkern.ablation.judge.claims.claim import Claim
from lelkern.ablation.judge.names import Grid, Level, Track


class Saturates(Claim):
    """The metric improves along a factor up to a level, and from there gains less than a margin.

    Attributes:
        until: the level from which on there is little to gain.
        margin: the smallest gain that matters, in the units of the metric: 0.01 is one point of
            accuracy. State it before you see the results.
        along: the factor; it need not be named if it is all that varies.
        of: the level of the other axis at which it is so; by default on the mean of all of them.
    """

    shape: Literal["saturates"]
    until: Level
    margin: float = Field(gt=0)
    along: str | None = None
    of: Level | None = None

    def resolve(self, grid: Grid) -> tuple[Track, int]:
        """Return the arms along the factor, and the index of the level ``until``."""
        axis = grid.only_axis("along", self.along)
        until = grid.axes[axis].order.index(grid.level("until", axis, self.until))
        track = grid.track(axis, self.of)
        if not 0 < until < len(track.levels) - 1:
            raise ValueError(
                f"until = {self.until!r} must lie between the ends of {track.key!r}, "
                f"{track.levels[0]} and {track.levels[-1]}"
            )
        return track, until
