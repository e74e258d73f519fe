"""``saturates``: more helps up to a level, and no longer from there on."""

from itertools import combinations
from typing import Literal

from pydantic import Field

from lelkern.ablation.judge.claims.claim import Along
from lelkern.ablation.judge.claims.trend import verbs
from lelkern.ablation.judge.names import Grid, Level, Track
from lelkern.ablation.judge.path import Path
from lelkern.ablation.judge.sample import Sample
from lelkern.ablation.judge.statement import Statements, amount, differences, largest_first


class Saturates(Along):
    """The metric improves along a factor up to a level, and from there gains less than a margin.

    Contradicted by a step back on the way up, by a gain or a loss of more than the margin from
    there on, and by a later level that is worse than one on the way up.

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

    def tracks(self, grid: Grid) -> tuple[Track, ...]:
        """Return the arms along the factor."""
        return (self.resolve(grid)[0],)

    def statements(self, sample: Sample) -> Statements:
        """Return the trend up to the level and the small gain after it, and what is against."""
        track, until = self.resolve(sample.grid)
        values = sample.track(track)
        last = len(track.levels) - 1
        up, down = verbs(sample)

        def path(end: int) -> Path:
            return Path(
                values[:, :, : end + 1],
                track.key,
                track.levels[: end + 1],
                track.others,
                up,
                down,
                sample.metric,
            )

        rise, whole = path(until), path(last)
        size = amount(sample.metric, self.margin)
        beyond = f" by more than {size}"
        mean = whole.mean.T
        plateau = differences(
            [
                f"{sample.metric.label} gains less than {size} from {track.key} "
                f"{track.levels[until]} to {track.levels[last]}"
            ],
            mean[[until]],
            mean[[last]],
            sample.metric,
            above=-self.margin,
            reverse=True,
        )
        pairs = list(combinations(range(last + 1), 2))
        strict = [(i, j) for i, j in pairs if i < until]
        flat = [(i, j) for i, j in pairs if i >= until]
        gains = [(until, j) for j in range(until + 1, last + 1)]
        falls = whole.steps(False, strict)
        return Statements(
            test=f"{rise.test} over {track.key} up to {track.levels[until]}, blocks: "
            f"{rise.blocks}; paired one-sided t-test of a gain of less than {size} from there to "
            f"{track.levels[last]}; both must be significant, and no pair of values may "
            "contradict them",
            needed=(rise.whole(), *plateau),
            against=(
                rise.whole(rises=False),
                *largest_first(
                    (
                        *falls,
                        *whole.steps(False, flat, above=self.margin, suffix=beyond),
                        *whole.steps(True, gains, above=self.margin, suffix=beyond),
                    )
                ),
            ),
            partly=lambda: rise.steps(rises=True),
            doubt=whole.doubt(falls),
        )
