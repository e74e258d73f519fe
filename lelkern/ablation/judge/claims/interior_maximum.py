"""``interior-maximum``: the best value of a factor lies between its ends."""

from typing import Literal

from lelkern.ablation.judge.claims.claim import Claim
from lelkern.ablation.judge.names import Grid, Level, Track


class InteriorMaximum(Claim):
    """Some inner value of a factor beats both of its ends.

    Attributes:
        along: the factor; it need not be named if there is but one of numbers.
        of: the level of the other axis at which it is so; by default on the mean of all of them.
    """

    shape: Literal["interior-maximum"]
    along: str | None = None
    of: Level | None = None

    def resolve(self, grid: Grid) -> Track:
        """Return the arms along the factor."""
        track = grid.track(grid.only_axis("along", self.along, numeric=True), self.of)
        if len(track.levels) < 3:
            raise ValueError(
                f"shape = {self.shape!r} needs a value between the two ends of {track.key!r}, "
                f"got {len(track.levels)} values"
            )
        return track
