"""Two runs side by side: what differs in what they found, and in how they were made."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lelkern.ablation.judge.evidence import holm
from lelkern.ablation.judge.paired import paired
from lelkern.ablation.judge.statistics import CONFIDENCE, Estimate, estimate, measured
from lelkern.ablation.record import Record, flat
from lelkern.ablation.report import Report
from lelkern.config import ConfigError, nearest


@dataclass(frozen=True)
class Difference:
    """How far two runs of an arm or baseline are apart in a metric.

    Attributes:
        label: of the arm or baseline, which both runs have.
        first: mean over the seeds of the first run.
        second: of the second.
        difference: mean of the second less that of the first; in pairs that of the shared seeds.
        half_width: of its 95 % interval; None where a single seed gives none.
        p_value: two-sided; None likewise.
        p_adjusted: the same after Holm's correction for the number of labels.
        shared: number of seeds that both have a value of, by which they are compared in pairs; 0
            where fewer than two are shared and means are compared instead.
    """

    label: str
    first: Estimate
    second: Estimate
    difference: float
    half_width: float | None
    p_value: float | None
    p_adjusted: float | None
    shared: int


@dataclass(frozen=True)
class Comparison:
    """What two runs have in common, and what not.

    Attributes:
        metric: name of what is compared.
        differences: of every label that both have with a value.
        only_first: labels that only the first run has a value of.
        only_second: likewise.
        settings: dotted key to its value in either run, as JSON; what an arm alone has is under its
            label. Versions, device and code are among them.
    """

    metric: str
    differences: tuple[Difference, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    settings: Mapping[str, tuple[str, str]]


def compare(first: Report, second: Report, metric: str | None = None) -> Comparison:
    r"""Compare two runs, arm by arm and baseline by baseline.

    Where two seeds or more are shared the differences of a seed are tested by a paired t-test
    (Student 1908), else the means by Welch's, which lets variances differ (Welch 1947, Biometrika
    34). Both are two-sided; Holm's correction counts the labels.

    Args:
        first: a report.
        second: another one.
        metric: name of what is compared; by default the first study's own.

    Raises:
        ConfigError: one of them has no such metric.
    """
    name = metric or first.record.study.metric
    for report in (first, second):
        if name not in report.record.metrics:
            raise ConfigError(
                f"{report.folder}: no metric {name!r}; {nearest(name, report.record.metrics)}"
            )
    one, other = (_values(report, name) for report in (first, second))
    found = [_difference(label, one[label], other[label]) for label in one if label in other]
    tested = [d.p_value for d in found if d.p_value is not None]
    adjusted = iter(holm(tested))
    return Comparison(
        name,
        tuple(d if d.p_value is None else replace(d, p_adjusted=next(adjusted)) for d in found),
        tuple(label for label in one if label not in other),
        tuple(label for label in other if label not in one),
        _settings(first.record, second.record),
    )


def _values(report: Report, metric: str) -> dict[str, dict[int, float]]:
    return measured([*report.results.arms, *report.results.baselines], metric)


def _difference(label: str, one: Mapping[int, float], other: Mapping[int, float]) -> Difference:
    shared = sorted(set(one) & set(other))
    first, second = estimate(list(one.values())), estimate(list(other.values()))
    if len(shared) > 1:
        a, b = (np.array([[values[seed] for seed in shared]]) for values in (one, other))
        of_seeds = estimate((b - a)[0].tolist())
        p = min(1.0, 2 * min(paired(b, a)[0].p_value, paired(a, b)[0].p_value))
        return Difference(
            label, first, second, of_seeds.mean, of_seeds.half_width, p, None, len(shared)
        )
    half_width, p_value = _welch(first, second)
    return Difference(label, first, second, second.mean - first.mean, half_width, p_value, None, 0)


def _welch(first: Estimate, second: Estimate) -> tuple[float | None, float | None]:
    """Return the half-width of the interval of a difference of means, and its p-value."""
    from scipy import special

    if first.std is None or second.std is None:
        return None, None
    parts = [found.std**2 / found.n for found in (first, second) if found.std is not None]
    variance = sum(parts)
    if variance == 0:
        return None, None
    freedom = variance**2 / sum(
        part**2 / (found.n - 1) for part, found in zip(parts, (first, second), strict=True)
    )
    t = (second.mean - first.mean) / math.sqrt(variance)
    quantile = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2))
    return quantile * math.sqrt(variance), float(2 * special.stdtr(freedom, -abs(t)))


def _settings(first: Record, second: Record) -> dict[str, tuple[str, str]]:
    """Return the settings in which two runs differ, with both values."""
    one, other = (dict(_made(record)) for record in (first, second))
    keys = dict.fromkeys([*one, *other])
    pairs = {key: (one.get(key, "–"), other.get(key, "–")) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _made(record: Record) -> Iterator[tuple[str, str]]:
    """Yield the keys and values of how a run was made, those of all labels alike only once."""
    yield "study", record.name
    yield "seeds", str(record.study.seeds)
    yield "quick", json.dumps(record.asked.quick)
    yield from record.environment.items()
    described = {
        label: dict(flat(recipe.model_dump(mode="json")))
        for label, recipe in record.recipes.items()
    }
    keys = dict.fromkeys(key for found in described.values() for key in found)
    for key in keys:
        values = {label: _plain(found[key]) for label, found in described.items() if key in found}
        if len(values) == len(described) and len(set(values.values())) == 1:
            yield key, next(iter(values.values()))
        else:
            yield from ((f"{label}: {key}", value) for label, value in values.items())


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
