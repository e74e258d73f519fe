"""Means over one factor: along a numeric axis, or one arm beside the other."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from numpy.typing import NDArray

from lelkern.ablation.metrics import METRICS
from lelkern.ablation.plot_style import (
    BASELINE_STYLES,
    BLUE,
    VERMILION,
    Point,
    bound_fraction,
    draw_series,
    wrapped,
)
from lelkern.ablation.statistics import Baseline, Row, estimate, measured
from lelkern.ablation.study import Published, Study, format_value

SIZE = (8.0, 4.9)  # inches
_SCALE_NAMES = {"log": " (log scale)", "log-complement": " (log scale of 1 − value)"}


def draw_line(
    figure: SubFigure, study: Study, rows: Sequence[Row], baselines: Sequence[Baseline]
) -> None:
    """Draw ``line`` and ``category`` plots.

    Published figures are of another model and data set, so they get an axis of their own.
    """
    axes = figure.add_subplot()
    factor, arms = study.factor[0], [arm.label for arm in study.arms()]
    numeric = study.plot == "line"
    positions = [float(v) for v in factor.levels()] if numeric else [*range(len(arms))]
    x = dict(sorted(zip(arms, positions, strict=True), key=lambda item: item[1]))
    if numeric:
        _set_scale(axes, factor.scale)
    else:
        axes.set_xlim(-0.5, len(arms) - 0.5)
    _label_arms(axes, x)
    axes.set_xlabel(factor.label + _SCALE_NAMES.get(factor.scale, ""))
    _draw_arms(axes, study, rows, x, line=numeric)
    draw_baselines(axes, study, baselines)
    bound_fraction(axes, METRICS[study.metric])
    if study.published is not None:
        _draw_published(axes, study.published, x, line=numeric)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)


def _set_scale(axes: Axes, scale: str) -> None:
    if scale == "log-complement":
        axes.set_xscale("function", functions=(_log_complement, _from_log_complement))
    else:
        axes.set_xscale(scale)


def _log_complement(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map 0, 0.9, 0.99 to 0, 1, 2."""
    return -np.log10(np.maximum(1 - x, 1e-12))  # finite at 1, where an empty axis ends


def _from_log_complement(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 - 10.0**-x


def _label_arms(axes: Axes, x: Mapping[str, float]) -> None:
    crowded = len(x) * max(map(len, x)) > 80  # characters; labels would touch
    rotation, side = (25, "right") if crowded else (0, "center")
    axes.set_xticks(list(x.values()), list(x), rotation=rotation, ha=side)
    axes.minorticks_off()


def _draw_arms(
    axes: Axes, study: Study, rows: Sequence[Row], x: Mapping[str, float], *, line: bool
) -> None:
    values = measured(rows, study.metric)
    points = [Point(place, list(values.get(arm, {}).values())) for arm, place in x.items()]
    intervals = any(len(point.values) > 1 for point in points)
    label = f"this study: mean{', 95 % interval' * intervals}, seeds beside it"
    draw_series(axes, METRICS[study.metric], points, color=BLUE, marker="o", label=label, line=line)
    axes.set_ylabel(METRICS[study.metric].axis_label)
    axes.grid(axis="y", color="0.92")


def draw_baselines(axes: Axes, study: Study, baselines: Sequence[Baseline]) -> None:
    """Draw each baseline's mean as a horizontal line, named with its value in the legend."""
    metric = METRICS[study.metric]
    for baseline, linestyle in zip(baselines, cycle(BASELINE_STYLES)):
        values = measured(baseline.rows, study.metric).get(baseline.name)
        if values:
            mean = estimate(list(values.values())).mean
            axes.axhline(
                metric.shown(mean),
                color="0.35",
                linestyle=linestyle,
                linewidth=1.2,
                label=f"{baseline.name} ({metric.format(mean)})",
                zorder=1,
            )


def _draw_published(
    axes: Axes, published: Published, x: Mapping[str, float], *, line: bool
) -> None:
    beside = 0.0 if line else 0.15  # of a category, where both marks might coincide
    # Published values of arms that this run leaves out have no place on a category axis.
    found = [
        (_position(place, x, numeric=line), y)
        for place, y in zip(published.x, published.y, strict=True)
        if line or format_value(place) in x
    ]
    twin = axes.twinx()
    twin.plot(
        [position + beside for position, _ in found],
        [y for _, y in found],
        color=VERMILION,
        marker="s",
        markerfacecolor="none",
        linestyle="--" if line else "none",
        label=f"{published.source} (right axis)",
    )
    twin.set_ylabel(wrapped(published.label), color=VERMILION)
    twin.tick_params("y", colors=VERMILION)
    twin.spines["right"].set(visible=True, color=VERMILION)
    twin.margins(y=0.15)


def _position(place: float | str, x: Mapping[str, float], *, numeric: bool) -> float:
    return float(place) if numeric else x[format_value(place)]
