"""``interior-maximum``: the best value of a factor lies between its ends."""

from dataclasses import replace
from typing import Literal

from lelkern.ablation.judge.claims.claim import Along
from lelkern.ablation.judge.evidence import Values
from lelkern.ablation.judge.names import Grid, Level, Track
from lelkern.ablation.judge.sample import Sample
from lelkern.ablation.judge.statement import Statement, Statements, differences


class InteriorMaximum(Along):
    r"""Some inner value of a factor beats both of its ends.

    .. math:: d_{se} = \operatorname{median}_{i \text{ inner}} y_{si} - y_{se}

    is one number a seed s and end e, and gets a paired one-sided t-test. If no inner arm were
    better than the end, the median of arms as good as the end would be the most favourable case,
    and symmetric noise centres d at 0 there: a positive mean shows that some inner arm is better.
    Unlike many-to-one tests with a pooled variance (Dunnett 1955), this stays at its level when
    collapsed arms vary more than the others; unlike one paired test per inner arm, it pays for no
    multiplicity, which three seeds could not. A peak narrower than half of the inner values goes
    unnoticed.

    The opposite is that an end beats *every* inner value: the largest p-value of its paired
    t-tests counts.

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

    def tracks(self, grid: Grid) -> tuple[Track, ...]:
        """Return the arms along the factor."""
        return (self.resolve(grid),)

    def statements(self, sample: Sample) -> Statements:
        """Return that the median of inner values beats either end, and the opposites."""
        import numpy as np

        track = self.resolve(sample.grid)
        values = sample.track(track).mean(axis=1)
        names = track.levels
        ends, inner = (0, len(names) - 1), range(1, len(names) - 1)
        median = np.median(values[:, 1:-1], axis=1)
        needed = differences(
            [f"the median over inner values of {track.key} beats {names[end]}" for end in ends],
            [median, median],
            values[:, ends].T,
            sample.metric,
        )
        best = int(values.mean(axis=0).argmax())
        return Statements(
            test=f"paired one-sided t-tests of the median of {len(inner)} inner values against "
            "each end; both must be significant, and the best mean must be an inner one",
            needed=needed,
            against=tuple(_beats_all_inner(values, names, end, sample) for end in ends),
            remark=f"the best mean is that of {names[best]}",
            obstacle="" if best in inner else f"the best mean is that of an end, {names[best]}",
        )


def _beats_all_inner(values: Values, names: tuple[str, ...], end: int, sample: Sample) -> Statement:
    inner = range(1, len(names) - 1)
    each = differences(
        [f"{names[end]} beats every inner value"] * len(inner),
        [values[:, end]] * len(inner),
        values[:, 1:-1].T,
        sample.metric,
    )
    least = min(each, key=lambda statement: statement.difference)
    weakest = max(each, key=lambda statement: statement.p_value)
    return replace(least, evidence=weakest.evidence)
