"""``gap-shrinks`` and ``gap-grows``: a difference between arms falls or grows along a factor."""

from dataclasses import replace
from typing import Literal

from lelkern.ablation.judge.claims.trend import trends
from lelkern.ablation.judge.claims.two_sided import Sides, beats, names, sides
from lelkern.ablation.judge.evidence import Values
from lelkern.ablation.judge.names import Grid, Series
from lelkern.ablation.judge.path import Path
from lelkern.ablation.judge.sample import Cell, Sample
from lelkern.ablation.judge.statement import Statements


class Gap(Sides):
    """The advantage of ``arm`` over ``over`` falls, or grows, along a factor: an interaction.

    The difference is formed within each seed, and tested for a trend as by ``decreasing`` or
    ``increasing``. It is an advantage where it is largest: ``arm`` has to beat ``over`` at the
    first level where the gap shrinks, and at the last where it grows.

    Attributes:
        along: the factor; it need not be named if it is all that varies, or the other axis is
            that of which ``arm`` and ``over`` are levels.
    """

    shape: Literal["gap-shrinks", "gap-grows"]
    along: str | None = None

    def resolve(self, grid: Grid) -> tuple[Series, ...]:
        """Return the series to compare along the factor."""
        self.check_over()
        key = self.along
        if key is None and len(grid.axes) > 1:
            key = self._other_axis(grid)
        return grid.series(self.arm, self.over, grid.only_axis("along", key))

    def comparisons(self, grid: Grid, default: str) -> list[tuple[Cell, ...]]:
        """Return the cells of every series (see ``Claim``)."""
        return [
            tuple(cell for pair in series.pairs for cell in self.cells(pair, default))
            for series in self.resolve(grid)
        ]

    def parts(self, cells: tuple[Cell, ...]) -> list[tuple[Cell, ...]]:
        """Return the pairs of a series: the gap may be nothing at a level that it is told from."""
        return [*zip(cells[::2], cells[1::2], strict=True)]

    def statements(self, sample: Sample) -> Statements:
        """Return a trend of the gap for every series, and every step back against them."""
        grows = self.shape == "gap-grows"
        paths, remarks = [], []
        every = self.resolve(sample.grid)
        for series in every:
            left, right = sides(sample, series.pairs)
            gap = left - right
            subject = self._subject(sample, series)
            up, down = ("grows", "shrinks") if grows else ("shrinks", "grows")
            paths.append(
                Path(
                    values=_settled(gap if grows else -gap, left).T[:, None, :],
                    key=series.key,
                    levels=series.levels,
                    rows=("",),
                    up=f"{subject} {up}",
                    down=f"{subject} {down}",
                    metric=replace(sample.metric, better="higher"),
                    falls=not grows,
                )
            )
            ends = [sample.metric.difference(float(gap[i].mean())) for i in (0, -1)]
            remarks.append(f"{subject} goes from {ends[0]} to {ends[1]}")
        trend = trends(paths)
        largest = [series.pairs[-1 if grows else 0] for series in every]
        return replace(
            trend,
            test=f"{trend.test}; and of the advantage where it is largest",
            needed=(*trend.needed, *beats(sample, largest, left=True)),
            against=(*trend.against, *beats(sample, largest, left=False)),
            remark=remarks[0] if len(remarks) == 1 else "",
        )

    def _subject(self, sample: Sample, series: Series) -> str:
        """Name the gap: ``the gap of mixmatch over supervised``."""
        first = series.pairs[0]
        one, other, _ = names(sample, first)
        if self.arm is None:
            one = sample.metric.label
            other = first.names[1] if self.over is not None else sample.over_metric.label
        elif self.over is None:
            one, other = f"{one} of {first.names[0]}", other
        return f"the gap of {one} over {other} {series.where}".rstrip()

    def _other_axis(self, grid: Grid) -> str | None:
        names = [
            name
            for names in (self.arm, self.over)
            if names is not None
            for name in (names if isinstance(names, tuple) else (names,))
        ]
        fields = "arm" if self.arm is not None else "over"
        taken = {grid.side(fields, name).axis for name in names} - {None}
        free = [axis.key for i, axis in enumerate(grid.axes) if i not in taken]
        return free[0] if len(free) == 1 else None


def _settled(gap: Values, values: Values) -> Values:
    """Round off what subtraction leaves behind, so that equal gaps get equal ranks."""
    scale = abs(values).max() or 1.0
    settled: Values = (gap / scale).round(12) * scale
    return settled
