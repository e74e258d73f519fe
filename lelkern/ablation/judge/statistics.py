"""Means over seeds with their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lelkern.ablation.results import Row

CONFIDENCE = 0.95


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
    from scipy import special

    n = len(values)
    mean = float(np.mean(values))
    if n == 1:
        return Estimate(mean, None, n, None)
    std = float(np.std(values, ddof=1))
    quantile = float(special.stdtrit(n - 1, (1 + CONFIDENCE) / 2))
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


def p_in_words(value: float) -> str:
    """Write a p-value: ``0.012``, or ``< 0.001``."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
