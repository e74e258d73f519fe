"""``ordered``: each level beats the one before it."""

from itertools import combinations, pairwise
from typing import Literal

from lelkern.ablation.judge.claims.claim import Along
from lelkern.ablation.judge.names import Grid, Level, Track
from lelkern.ablation.judge.sample import Sample
from lelkern.ablation.judge.statement import Statements, differences, largest_first


class Ordered(Along):
    """Each level beats the one before it, from the smallest if they are numbers, else as listed.

    A level that is significantly worse than *any* before it contradicts the claim, on the mean of
    the other axis or at one level of it.

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

    def tracks(self, grid: Grid) -> tuple[Track, ...]:
        """Return the arms along the factor."""
        return (self.resolve(grid),)

    def statements(self, sample: Sample) -> Statements:
        """Return that each level beats the one before it, and every step back against it."""
        track = self.resolve(sample.grid)
        values = sample.track(track)
        names = track.levels
        several = len(track.others) > 1
        rows = [("" if several else track.others[0], values.mean(axis=1))]
        if several:
            rows += [(other, values[:, i]) for i, other in enumerate(track.others)]
        needed = list(pairwise(range(len(names))))
        back = list(combinations(range(len(names)), 2))
        mean = rows[0][1].T
        return Statements(
            test="paired one-sided t-tests of each value against the one before it; all must be "
            "significant",
            needed=differences(
                [f"{names[j]} beats {names[i]} {rows[0][0]}".rstrip() for i, j in needed],
                [mean[j] for _, j in needed],
                [mean[i] for i, _ in needed],
                sample.metric,
            ),
            against=largest_first(
                differences(
                    [
                        f"{names[i]} beats {names[j]} {row}".rstrip()
                        for row, _ in rows
                        for i, j in back
                    ],
                    [v[:, i] for _, v in rows for i, _ in back],
                    [v[:, j] for _, v in rows for _, j in back],
                    sample.metric,
                )
            ),
        )
