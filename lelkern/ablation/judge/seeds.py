"""The seeds that all arms of a claim have, and what is missing."""

from collections.abc import Mapping, Sequence

import numpy as np

from lelkern.ablation.judge.evidence import Values
from lelkern.ablation.judge.sample import Cell
from lelkern.ablation.judge.statistics import measured
from lelkern.ablation.results import Row


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
        diverged = diverged_seeds(rows, arm)
        valueless = [
            s
            for s in wanted
            if s in finished and s not in diverged and any(s not in value for value in own)
        ]
        if not finished:
            gaps.append(f"{arm} (no finished trial)")
        elif unfinished or diverged or valueless or unrun:
            parts = [
                _seeds(unrun, "not run"),
                _seeds(unfinished, "not finished"),
                _seeds(diverged, "diverged"),
                _seeds(valueless, "not a finite number"),
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


def diverged_seeds(rows: Mapping[str, Sequence[Row]], arm: str) -> list[int]:
    """Return the seeds with which an arm's training diverged."""
    return sorted(row.seed for row in rows.get(arm, ()) if row.diverged_at is not None)


def _seeds(seeds: Sequence[int], what: str) -> str:
    if not seeds:
        return ""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))} {what}"
