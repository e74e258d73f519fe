"""The values that a claim is about, on the seeds that all of them have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lelkern.ablation.judge.evidence import Values
from lelkern.ablation.judge.names import Grid, Track
from lelkern.ablation.judge.statistics import measured
from lelkern.ablation.results import Row
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
        return np.stack([self.values[label, self.name] for label in labels])

    def over(self, labels: Sequence[str]) -> Values:
        """Return the other metric of some arms, (arms, seeds)."""
        return np.stack([self.values[label, self.over_name] for label in labels])

    def track(self, track: Track) -> Values:
        """Return the claim's metric along an axis, (seeds, rows, levels)."""
        return np.stack([self.arms(row) for row in track.arms]).transpose(2, 0, 1)


def common_seeds(
    rows: Mapping[str, Sequence[Row]],
    cells: Sequence[Cell],
    constants: Sequence[str],
    planned: Mapping[str, int],
) -> tuple[tuple[int, ...], dict[Cell, Values], tuple[str, ...]]:
    """Collect cells on the seeds that all of them have in common.

    Args:
        rows: finished trials by arm.
        cells: what is needed.
        constants: arms that ran one seed, whose value stands for every seed.
        planned: number of seeds of arms that run fewer than others.

    Returns:
        The common seeds, the (seeds,) values of every cell, and what is missing: one phrase an
        arm, none if every arm has every seed.
    """
    values = {
        cell: measured(rows.get(cell[0], ()), cell[1]).get(cell[0], {})
        for cell in dict.fromkeys(cells)
    }
    arms = list(dict.fromkeys(arm for arm, _ in cells))
    varying = [arm for arm in arms if arm not in constants] or arms
    every = sorted({row.seed for arm in varying for row in rows.get(arm, ())})
    gaps = []
    for arm in arms:
        own = [value for (label, _), value in values.items() if label == arm]
        finished = {row.seed for row in rows.get(arm, ())}
        wanted = sorted(finished) if arm in constants else every
        unrun = [s for s in wanted if s not in finished and s >= planned.get(arm, s + 1)]
        unfinished = [s for s in wanted if s not in finished and s not in unrun]
        diverged = [s for s in wanted if s in finished and any(s not in value for value in own)]
        if not finished:
            gaps.append(f"{arm} (no finished trial)")
        elif unfinished or diverged or unrun:
            parts = [
                _seeds(unrun, "not run"),
                _seeds(unfinished, "not finished"),
                _seeds(diverged, "not a finite number"),
            ]
            gaps.append(f"{arm} ({', '.join(filter(None, parts))})")
    for cell, value in values.items():
        if cell[0] in constants and cell[0] not in varying:
            values[cell] = dict.fromkeys(every, next(iter(value.values()))) if value else {}
    seeds = tuple(s for s in every if all(s in value for value in values.values()))
    table = {
        cell: np.array([value[s] for s in seeds], dtype=np.float64)
        for cell, value in values.items()
    }
    return seeds, table, tuple(gaps)


def _seeds(seeds: Sequence[int], what: str) -> str:
    if not seeds:
        return ""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))} {what}"
