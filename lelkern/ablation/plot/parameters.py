"""Means over the size of the encoder: one line a value of the second factor."""

import math
from collections.abc import Sequence
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lelkern.ablation.metrics import METRICS
from lelkern.ablation.plot_line import draw_baselines
from lelkern.ablation.plot_style import (
    SERIES,
    VERMILION,
    Point,
    bound_fraction,
    count_text,
    draw_series,
    wrapped,
)
from lelkern.ablation.statistics import Baseline, Row, estimate, measured
from lelkern.ablation.study import Published, Study, format_value

SIZE, SIZE_WITH_PUBLISHED = (8.0, 4.9), (10.5, 4.9)  # inches


def draw_parameters(
    figure: SubFigure, study: Study, rows: Sequence[Row], baselines: Sequence[Baseline]
) -> None:
    """Draw ``parameters`` plots.

    Published networks are orders of magnitude larger, so they get a panel of their own.
    """
    if study.published is None:
        axes = figure.add_subplot()
    else:
        axes, beside = figure.subplots(1, 2, width_ratios=(3, 1.25))
        _draw_published(beside, study.published)
        axes.set_title("this study")
    metric = METRICS[study.metric]
    along, across = study.factor
    for level, (color, marker) in zip(across.levels(), cycle(SERIES)):
        arms = [arm.label for arm in study.arms() if arm.values[across.key] == level]
        label = f"{across.label} {format_value(level)}"
        points = _points(arms, rows, study.metric)
        draw_series(axes, metric, points, color=color, marker=marker, label=label)
    draw_baselines(axes, study, baselines)
    bound_fraction(axes, metric)
    _log_axis(axes)
    axes.set_xlabel(f"{METRICS['parameters'].label} (log scale)")
    axes.set_ylabel(metric.axis_label)
    axes.grid(axis="y", color="0.92")
    levels = ", ".join(format_value(level) for level in along.levels())
    figure.legend(
        title=f"points along a line: {along.label} {levels}",
        title_fontsize=9,
        loc="outside lower center",
        ncols=len(across.levels()),
        frameon=False,
    )


def _points(arms: Sequence[str], rows: Sequence[Row], metric: str) -> list[Point]:
    values, sizes = measured(rows, metric), measured(rows, "parameters")
    points = []
    for arm in arms:
        size = list(sizes.get(arm, {}).values())
        points.append(
            Point(estimate(size).mean, list(values.get(arm, {}).values()))
            if size
            else Point(math.nan, ())
        )
    return points


def _log_axis(axes: Axes) -> None:
    if not math.isfinite(axes.dataLim.minposx):
        axes.set_xlim(1e3, 1e6)  # no point is drawn, and a logarithmic axis needs a range
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count_text(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_published(axes: Axes, published: Published) -> None:
    x = [float(place) for place in published.x]
    axes.plot(x, published.y, color=VERMILION, marker="s", markerfacecolor="white", linestyle="--")
    axes.set_xscale("log")
    axes.set_xticks(x, [count_text(place) for place in x])
    axes.minorticks_off()
    axes.margins(x=0.2, y=0.15)
    axes.set_title(wrapped(published.source, 34))
    axes.set_xlabel("parameters (log scale)")
    axes.set_ylabel(wrapped(published.label), color=VERMILION)
    axes.tick_params("y", colors=VERMILION)
    axes.grid(axis="y", color="0.92")
