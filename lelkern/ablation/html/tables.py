"""The tables of a page, as headings and cells."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from lelkern.ablation.judge.statistics import Estimate, p_in_words
from lelkern.ablation.judge.verdict import Comparison, Verdict
from lelkern.ablation.report import Report
from lelkern.ablation.results import Row, in_words
from lelkern.methods.metric import Metric


class Table(NamedTuple):
    """A table.

    Attributes:
        headings: of the columns.
        rows: cells; the first of each names its row.
    """

    headings: list[str]
    rows: list[list[str]]


def results_of(report: Report) -> Table:
    """Return the means of arms and baselines with their intervals, the study's metrics first."""
    study, metrics = report.record.study, report.record.metrics
    names = list(dict.fromkeys((study.metric, *study.metrics, *metrics)))
    headings = [
        ", ".join(axis.label for axis in study.axes()),
        *(metrics[name].axis_label for name in names),
        "seeds",
    ]
    rows = [
        [label, *(_interval(metrics[name], found.get(name)) for name in names), _seeds(found)]
        for label, found in (*report.arms.items(), *report.baselines.items())
    ]
    if report.diverged:
        headings.append("diverged")
        for row in rows:
            row.append(in_words(report.diverged[row[0]]) if row[0] in report.diverged else "")
    return Table(headings, rows)


def comparisons_of(verdict: Verdict) -> Table:
    """Return the numbers behind a verdict: what the claim needs, and what contradicts it."""

    def row(kind: str, one: Comparison) -> list[str]:
        return [
            one.statement,
            kind,
            one.effect,
            p_in_words(one.p_value),
            p_in_words(one.p_adjusted),
        ]

    return Table(
        ["statement", "it is", "mean difference", "p, one-sided", "p after Holm"],
        [
            *(row("needed", one) for one in verdict.comparisons),
            *(row("against the claim", one) for one in verdict.contradictions),
        ],
    )


def trials_of(report: Report) -> Table:
    """Return every trial: its metrics, or that it diverged, or is not done."""
    record = report.record
    done = {(row.arm, row.seed): row for row in (*report.results.arms, *report.results.baselines)}
    headings = [
        "arm",
        "seed",
        "state",
        *(metric.axis_label for metric in record.metrics.values()),
        "seconds",
        "trial",
    ]
    rows = []
    for trial in record.all_trials:
        row = done.get((trial.arm, trial.seed))
        values = row.metrics if row is not None else {}
        rows.append(
            [
                trial.arm,
                str(trial.seed),
                _state(row),
                *(_value(metric, values.get(name)) for name, metric in record.metrics.items()),
                f"{row.seconds:.1f}" if row is not None else "",
                trial.identity,
            ]
        )
    return Table(headings, rows)


def _state(row: Row | None) -> str:
    if row is None:
        return "not done"
    return "done" if row.diverged_at is None else f"diverged at step {row.diverged_at}"


def _value(metric: Metric, value: float | None) -> str:
    return metric.number(value) if value is not None and math.isfinite(value) else "–"


def _seeds(found: Mapping[str, Estimate]) -> str:
    return str(max((estimate.n for estimate in found.values()), default=0))


def _interval(metric: Metric, found: Estimate | None) -> str:
    if found is None or found.n == 0:
        return "–"
    return metric.interval(found.mean, found.half_width)
