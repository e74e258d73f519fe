"""What a study measured: trials as rows, means with their intervals, and blocks of common seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Row:
    """One finished trial.

    Attributes:
        arm: label of the arm (see :class:`lelkern.ablation.study.Arm`).
        seed: seed of the trial; arms with the same seed are compared in pairs.
        metrics: name to value.
    """

    arm: str
    seed: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Baseline:
    """A reference that the study does not vary, such as raw pixels.

    Attributes:
        name: how plots and tables call it.
        rows: its finished trials; one is enough where nothing is random.
    """

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Estimate:
    """The mean of a metric over seeds.

    Attributes:
        mean: over the seeds.
        half_width: of the 95 % interval of the mean; None for a single seed.
        n: number of seeds.
        std: standard deviation of the seeds (n - 1 degrees of freedom); None for a single seed.
    """

    mean: float
    half_width: float | None
    n: int
    std: float | None


def estimate(values: Sequence[float]) -> Estimate:
    r"""Return the mean and its 95 % interval under normal noise of unknown variance.

    .. math:: \bar x \pm t_{0.975,\,n-1} \, \frac{s}{\sqrt n}

    Source: Student (1908), "The Probable Error of a Mean", Biometrika 6.

    Args:
        values: one finite value a seed, at least one.
    """
    n = len(values)
    mean = float(np.mean(values))
    if n == 1:
        return Estimate(mean, None, n, None)
    std = float(np.std(values, ddof=1))
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return Estimate(mean, quantile * std / math.sqrt(n), n, std)


def measured(rows: Sequence[Row], metric: str) -> dict[str, dict[int, float]]:
    """Return arm to seed to value, of the trials whose value is there and finite.

    A trial that diverged reports NaN or infinity; it has no value to average.

    Raises:
        ValueError: two rows have the same arm and seed.
    """
    seen: set[tuple[str, int]] = set()
    values: dict[str, dict[int, float]] = {}
    for row in rows:
        if (row.arm, row.seed) in seen:
            raise ValueError(
                f"rows must differ in arm or seed, got {row.arm!r} seed {row.seed} twice"
            )
        seen.add((row.arm, row.seed))
        value = row.metrics.get(metric, math.nan)
        if math.isfinite(value):
            values.setdefault(row.arm, {})[row.seed] = float(value)
    return values


def summarize(
    rows: Sequence[Row], arms: Sequence[str], metrics: Sequence[str]
) -> dict[str, dict[str, Estimate]]:
    """Estimate every metric of every arm.

    Args:
        rows: finished trials; those of other arms are left out.
        arms: labels, in the order of the result.
        metrics: names, in the order of the result.

    Returns:
        Arm to metric to estimate. A metric without a finite value has no entry.
    """
    by_metric = {metric: measured(rows, metric) for metric in metrics}
    return {
        arm: {
            metric: estimate(list(values[arm].values()))
            for metric, values in by_metric.items()
            if arm in values
        }
        for arm in arms
    }


@dataclass(frozen=True)
class Blocks:
    """The part of a study that can be compared in pairs: seeds that every arm finished.

    Attributes:
        arms: labels of the columns.
        seeds: seeds of the rows.
        values: (seeds, arms).
        gaps: what is missing, one phrase an arm; empty when every arm has every seed.
    """

    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    values: NDArray[np.float64]
    gaps: tuple[str, ...]


def common_blocks(rows: Sequence[Row], arms: Sequence[str], metric: str) -> Blocks:
    """Collect a metric on the seeds that all arms have in common."""
    values = measured(rows, metric)
    present = [values.get(arm, {}) for arm in arms]
    every = sorted({row.seed for row in rows if row.arm in arms})
    seeds = tuple(seed for seed in every if all(seed in value for value in present))
    finished = {(row.arm, row.seed) for row in rows}
    gaps = []
    for arm, value in zip(arms, present, strict=True):
        unfinished = [s for s in every if (arm, s) not in finished]
        diverged = [s for s in every if s not in value and (arm, s) in finished]
        if not every or len(unfinished) == len(every):
            gaps.append(f"{arm} (no finished trial)")
        elif unfinished or diverged:
            parts = [_seeds(unfinished, "not finished"), _seeds(diverged, "not a finite number")]
            gaps.append(f"{arm} ({', '.join(filter(None, parts))})")
    table = np.array([[value[seed] for value in present] for seed in seeds], dtype=np.float64)
    return Blocks(tuple(arms), seeds, table.reshape(len(seeds), len(arms)), tuple(gaps))


def _seeds(seeds: Sequence[int], what: str) -> str:
    if not seeds:
        return ""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))} {what}"
