"""Small charts of every trial's curves: one an arm, one line a seed, all on the same axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lelkern.ablation.report import Report
from lelkern.ablation.results import Points, Row
from lelkern.ablation.run.trial import thinned
from lelkern.methods.metric import Curve, Metric

WIDTH, HEIGHT = 200, 90
"""Of a chart, in the units of its lines."""

_POINTS = 100  # more than there are pixels to show them


@dataclass(frozen=True)
class Chart:
    """The curves of one arm or baseline.

    Attributes:
        label: its label.
        lines: the points of every seed, as SVG has them.
        left, right, low, high: the ends of the axes, in words.
        says: all of it in a sentence.
    """

    label: str
    lines: tuple[str, ...]
    left: str
    right: str
    low: str
    high: str
    says: str


def charts_of(report: Report, name: str, curve: Curve) -> list[Chart]:
    """Return the charts of a curve: of the arms, then of the baselines, that have it.

    Args:
        report: of a study.
        name: of the curve.
        curve: how it is read.
    """
    rows: dict[str, list[Row]] = {}
    for row in (*report.results.arms, *report.results.baselines):
        if _finite(row.curves.get(name, ())):
            rows.setdefault(row.arm, []).append(row)
    points = [p for of_arm in rows.values() for row in of_arm for p in _finite(row.curves[name])]
    if not points:
        return []
    (left, right), (low, high) = (_ends([p[axis] for p in points]) for axis in (0, 1))

    def line(row: Row) -> str:
        points = thinned(_finite(row.curves[name]), _POINTS)
        return " ".join(
            f"{WIDTH * _share(x, left, right):.1f},{HEIGHT * (1 - _share(y, low, high)):.1f}"
            for x, y in (points[0], *points)  # a line of one point would not be drawn
        )

    return [
        Chart(
            label,
            tuple(map(line, of_arm)),
            _number(curve.x, left),
            _number(curve.x, right),
            _number(curve.y, low),
            _number(curve.y, high),
            _in_words(label, name, curve, of_arm),
        )
        for label, of_arm in rows.items()
    ]


def _finite(points: Points) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _number(metric: Metric, value: float) -> str:
    return f"{metric.shown(value):.4g}"


def _in_words(label: str, name: str, curve: Curve, rows: Sequence[Row]) -> str:
    ends = [(points[0][1], points[-1][1]) for points in (_finite(r.curves[name]) for r in rows)]
    first, last = (sum(end[i] for end in ends) / len(ends) for i in (0, 1))
    count = f"{len(rows)} seed{'s' * (len(rows) > 1)}"
    return (
        f"{label}: {curve.y.label} of {count}, on average from {_number(curve.y, first)} to "
        f"{_number(curve.y, last)}"
    )
