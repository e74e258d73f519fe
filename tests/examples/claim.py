"""``above-average``: one arm is better than the mean of all others."""

from typing import Literal

from lelkern.ablation.judge.claims.claim import Claim
from lelkern.ablation.judge.names import Grid
from lelkern.ablation.judge.sample import Cell, Sample
from lelkern.ablation.judge.statement import Statements, differences


class AboveAverage(Claim):
    """One arm is better than the mean of all others.

    Attributes:
        arm: label of the arm.
    """

    shape: Literal["above-average"]
    arm: str

    def resolve(self, grid: Grid) -> list[str]:
        """Return the labels of the other arms; an error if the arm is not there."""
        labels = list(grid.labels.values())
        if self.arm not in labels:
            raise ValueError(f"arm = {self.arm!r} is no arm; valid: {', '.join(labels)}")
        return [label for label in labels if label != self.arm]

    def comparisons(self, grid: Grid, default: str) -> list[tuple[Cell, ...]]:
        """Return what has to be measured: the metric of every arm."""
        return [tuple((arm, self.metric or default) for arm in (self.arm, *self.resolve(grid)))]

    def statements(self, sample: Sample) -> Statements:
        """Return what has to be shown, and what would contradict it."""
        one = sample.arms([self.arm])  # (1, seeds), with the sign by which higher is better
        rest = sample.arms(self.resolve(sample.grid)).mean(axis=0, keepdims=True)
        above, below = f"{self.arm} is above average", f"{self.arm} is below average"
        return Statements(
            test=f"paired one-sided t-test of {self.arm} against the mean of all others",
            needed=differences([above], one, rest, sample.metric),
            against=differences([below], rest, one, sample.metric, reverse=True),
        )
