"""``recovers``: a metric reaches a stated value."""

from dataclasses import replace
from typing import Literal

from pydantic import Field

from lelkern.ablation.judge.claims.claim import Claim
from lelkern.ablation.judge.evidence import Both
from lelkern.ablation.judge.names import EVERY, Grid, Levels, Pair
from lelkern.ablation.judge.sample import Cell, Sample
from lelkern.ablation.judge.statement import (
    Statements,
    amount,
    differences,
    largest_first,
)


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

    def comparisons(self, grid: Grid, default: str) -> list[tuple[Cell, ...]]:
        """Return the cell of every arm (see ``Claim``)."""
        return [((pair.left, self.metric or default),) for pair in self.resolve(grid)]

    def statements(self, sample: Sample) -> Statements:
        """Return that every arm reaches the value, and the opposites."""
        import numpy as np

        pairs = self.resolve(sample.grid)
        found = sample.arms([pair.left for pair in pairs])
        stated = np.full_like(found, sample.way * self.value)
        names = [" ".join(filter(None, (pair.names[0], pair.where))) for pair in pairs]
        value = sample.metric.format(self.value)
        each = " of every arm" if len(pairs) > 1 else ""
        if self.margin is None:
            reaches = [f"{name} reaches {value}" for name in names]
            fails = [f"{name} falls short of {value}" for name in names]
            return Statements(
                test=f"one-sided t-test{each} against {value}",
                needed=differences(reaches, found, stated, sample.metric),
                against=largest_first(
                    differences(fails, stated, found, sample.metric, reverse=True)
                ),
            )
        size = amount(sample.metric, self.margin)
        texts = [f"{name} is within {size} of {value}" for name in names]
        above = differences(texts, found, stated, sample.metric, above=-self.margin)
        below = differences(texts, stated, found, sample.metric, above=-self.margin)
        beyond = [f"{name} is further than {size} from {value}" for name in names]
        return Statements(
            test=f"two one-sided t-tests{each} against a margin of {size} around {value}",
            needed=tuple(
                replace(a, evidence=Both(a.evidence, b.evidence))
                for a, b in zip(above, below, strict=True)
            ),
            against=largest_first(
                (
                    *differences(beyond, found, stated, sample.metric, above=self.margin),
                    *differences(
                        beyond, stated, found, sample.metric, above=self.margin, reverse=True
                    ),
                )
            ),
        )
