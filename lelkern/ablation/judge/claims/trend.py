"""``increasing`` and ``decreasing``: the metric improves, or worsens, along a factor."""

from typing import Literal

from lelkern.ablation.judge.claims.claim import Along
from lelkern.ablation.judge.names import Grid, Level, Track
from lelkern.ablation.judge.path import Path
from lelkern.ablation.judge.sample import Sample
from lelkern.ablation.judge.statement import Statements, largest_first


class Trend(Along):
    """The metric improves (``increasing``) or worsens (``decreasing``) along a factor.

    Page's trend test has to be significant. It does not see where a trend turns, so that a later
    level that is significantly worse than an earlier one contradicts the claim: all pairs are
    tested, on the mean of the other axis and at each level of it.

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

    def tracks(self, grid: Grid) -> tuple[Track, ...]:
        """Return the arms along every factor that is meant."""
        return self.resolve(grid)

    def statements(self, sample: Sample) -> Statements:
        """Return a trend for every factor, and every step back against them."""
        better, worse = verbs(sample)
        claimed, contrary = (better, worse) if self.shape == "increasing" else (worse, better)
        way = 1 if self.shape == "increasing" else -1
        paths = [
            Path(
                values=way * sample.track(track),
                key=track.key,
                levels=track.levels,
                rows=track.others,
                up=claimed,
                down=contrary,
                metric=sample.metric,
                falls=way < 0,
            )
            for track in self.resolve(sample.grid)
        ]
        return trends(paths)


def verbs(sample: Sample) -> tuple[str, str]:
    """Return the words for a metric that gets better and for one that gets worse."""
    up, down = ("rises", "falls") if sample.metric.better == "neither" else ("improves", "worsens")
    return f"{sample.metric.label} {up}", f"{sample.metric.label} {down}"


def trends(paths: list[Path]) -> Statements:
    """Return the statements that the values of every path rise, and nowhere fall."""
    wholes = [path.whole(rises=False) for path in paths]
    falls = [path.steps(rises=False) for path in paths]
    doubts = [path.doubt(steps) for path, steps in zip(paths, falls, strict=True)]
    names = " and ".join(dict.fromkeys(path.key for path in paths))
    tests = " / ".join(sorted({path.test for path in paths}))
    blocks = " / ".join(dict.fromkeys(path.blocks for path in paths))
    several = "; each must be significant" if len(paths) > 1 else ""
    return Statements(
        test=f"{tests} over {names}, blocks: {blocks}{several}; paired one-sided t-tests of a "
        "later value against each earlier one, none of which may show a step back",
        needed=tuple(path.whole() for path in paths),
        against=(*largest_first(wholes), *largest_first([s for steps in falls for s in steps])),
        partly=lambda: largest_first([s for path in paths for s in path.steps(rises=True)]),
        doubt=next((doubt for doubt in doubts if doubt is not None), None),
    )
