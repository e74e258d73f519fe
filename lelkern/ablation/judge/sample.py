"""The values that a claim is about, on the seeds that all of them have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lelkern.ablation.judge.evidence import Values
from lelkern.ablation.judge.names import Grid, Track
from lelkern.methods.metric import Metric

Cell = tuple[str, str]
"""An arm or a baseline, and a metric of it."""


@dataclass(frozen=True)
class Sample:
    """What was measured for a claim.

    Attributes:
        grid: what names stand for.
        metric: how the claim's metric is written, and which way is better.
        over_metric: the same of the other metric, where two are compared.
        name: of the claim's metric.
        over_name: of the other.
        seeds: those that every cell has, ascending.
        values: (seeds,) of every cell, with the sign by which higher is better.
    """

    grid: Grid
    metric: Metric
    over_metric: Metric
    name: str
    over_name: str
    seeds: tuple[int, ...]
    values: Mapping[Cell, Values]

    @property
    def way(self) -> int:
        """1 if higher is better, -1 if lower is: values of this object have this sign."""
        return -1 if self.metric.better == "lower" else 1

    def arms(self, labels: Sequence[str]) -> Values:
        """Return the claim's metric of some arms, (arms, seeds)."""
        return self._stack(self.name, labels)

    def over(self, labels: Sequence[str]) -> Values:
        """Return the other metric of some arms, (arms, seeds)."""
        return self._stack(self.over_name, labels)

    def track(self, track: Track) -> Values:
        """Return the claim's metric along an axis, (seeds, rows, levels)."""
        values = self.arms([arm for row in track.arms for arm in row])
        return values.reshape(len(track.arms), len(track.levels), -1).transpose(2, 0, 1)

    def _stack(self, metric: str, labels: Sequence[str]) -> Values:
        import numpy as np

        return np.stack([self.values[label, metric] for label in labels])
