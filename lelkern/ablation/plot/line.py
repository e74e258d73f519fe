"""Means along an axis of the study or along a metric, as lines or beside each other."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from lelkern.ablation.grid import Axis
from lelkern.ablation.judge.statistics import Estimate, estimate, measured
from lelkern.ablation.labels import format_value
from lelkern.ablation.plot.look import Words
from lelkern.ablation.plot.picture import Picture
from lelkern.ablation.plot.style import (
    BASELINE_STYLES,
    BLUE,
    DIVERGED,
    LOG_SCALE,
    SERIES,
    VERMILION,
    Point,
    count_text,
    draw_legend,
    draw_series,
    fit_y,
    set_log_scale,
    wrapped,
)
from lelkern.ablation.study import Published
from lelkern.methods.metric import Metric

_SIZE, _SIZE_WITH_PANEL = (8.0, 4.9), (10.5, 4.9)  # inches
_SCALE_NAMES = {"log": LOG_SCALE, "log-complement": " (log scale of 1 − value)"}
_LEAST_COMPLEMENT = 1e-12


def size(picture: Picture) -> tuple[float, float]:
    """Return width and height in inches."""
    return _SIZE_WITH_PANEL if _has_panel(picture) else _SIZE


def draw(figure: SubFigure, picture: Picture) -> None:
    """Draw ``line`` and ``points`` plots.

    Published figures are of another model and data set, so they get an axis of their own; along a
    metric they may lie orders of magnitude away, and get a panel.
    """
    published = picture.plot.published
    if _has_panel(picture):
        assert published is not None
        axes, beside = figure.subplots(1, 2, width_ratios=(3, 1.25))
        _draw_panel(beside, published, picture)
        axes.set_title(picture.words.find("this study"))
    else:
        axes = figure.add_subplot()
    place = _along_axis(axes, picture) if picture.x_axis else _along_metric(axes, picture)
    _draw_lines(axes, picture, place)
    draw_baselines(axes, picture)
    if picture.x_metric is not None and picture.plot.scale == "log":
        _log_axis(axes, list(place.values()))
    if published is not None and picture.x_axis is not None:
        _draw_published(axes, published, picture.x_axis, picture)
    fit_y(axes, picture.metric, _drawn(picture) if picture.plot.y_scale == "log" else None)
    _draw_legend(figure, picture)


def _drawn(picture: Picture) -> list[float]:
    """Return the values along y: those of all seeds, means of baselines, and levels."""
    plot, shown = picture.plot, picture.metric.shown
    values = [value for arm in picture.study.arms() for value in picture.values(arm.label)]
    means = [estimate(of_seeds).mean for of_seeds in picture.baselines().values()]
    drawn = [shown(value) for value in (*values, *means, *plot.reference.values())]
    if plot.published is not None and plot.published.same_unit:
        drawn += map(float, plot.published.y)
    return drawn


def _has_panel(picture: Picture) -> bool:
    return picture.plot.published is not None and picture.x_axis is None


def _along_axis(axes: Axes, picture: Picture) -> dict[str, float]:
    """Set up x for an axis of the study, and return the position of every arm."""
    axis = picture.x_axis
    assert axis is not None
    positions = _positions(axis)
    if axis.is_numeric:
        _set_scale(axes, axis.scale, positions)
        # Levels without a result have their place, too.
        axes.update_datalim([(x, 0.0) for x in positions], updatey=False)
    else:
        axes.set_xlim(-0.5, len(positions) - 0.5)
    _label_levels(axes, axis, positions, picture)
    along = axis.label + _SCALE_NAMES.get(axis.scale, "")
    axes.set_xlabel(picture.words.find(along, axis.key))
    at = picture.axes.index(axis)
    return {arm.label: positions[arm.place[at]] for arm in picture.study.arms()}


def _positions(axis: Axis) -> list[float]:
    if axis.is_numeric:
        return [float(level) for level in axis.levels]
    return [float(i) for i in range(len(axis.levels))]


def _along_metric(axes: Axes, picture: Picture) -> dict[str, float]:
    """Set up x for a metric, and return the mean of every arm that has one."""
    metric, name = picture.x_metric, picture.plot.x
    assert metric is not None
    assert name is not None
    log = picture.plot.scale == "log"
    along = metric.axis_label + LOG_SCALE * log
    axes.set_xlabel(picture.words.find(along, name))
    found = measured(picture.results.arms, name)
    return {
        arm: metric.shown(estimate(list(values.values())).mean) for arm, values in found.items()
    }


def _set_scale(axes: Axes, scale: str, positions: Sequence[float]) -> None:
    if scale == "log-complement":
        below = min(1 - x for x in positions if x < 1)
        least = below if 1 in positions else _LEAST_COMPLEMENT  # finite at 1, where an axis ends
        functions = (
            partial(_log_complement, least=least),
            partial(_from_log_complement, least=least),
        )
        axes.set_xscale("function", functions=functions)
    elif scale == "log":
        set_log_scale(axes, positions)


def _log_complement(x: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Map 0, 0.9, 0.99 to 0, 1, 2; from 1 - ``least`` on linear, with 1 one further on."""
    rest = 1 - x
    return -np.log10(np.maximum(rest, least)) + np.maximum(1 - rest / least, 0)


def _from_log_complement(y: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    beyond = np.maximum(y + np.log10(least), 0)
    return 1 - np.maximum(10.0 ** -(y - beyond), least) + least * beyond


def _label_levels(axes: Axes, axis: Axis, positions: Sequence[float], picture: Picture) -> None:
    """Label levels, and published places beyond them that are not too close to a label."""
    ticks = {positions[i]: picture.words.find(axis.names[i]) for i in axis.order}
    published = picture.plot.published
    if axis.is_numeric and published is not None:
        along = axes.xaxis.get_transform().transform
        apart = np.diff(np.sort(along(positions))).min() / 2
        for place in sorted(published.x):
            x = float(place)
            beyond = not min(positions) <= x <= max(positions)
            if beyond and abs(along([*ticks]) - along([x])).min() >= apart:
                ticks[x] = format_value(place)
    crowded = len(ticks) * max(map(len, ticks.values())) > 80  # characters; labels would touch
    rotation, side = (25, "right") if crowded else (0, "center")
    axes.set_xticks([*ticks], [*ticks.values()], rotation=rotation, ha=side)
    axes.minorticks_off()


def _draw_lines(axes: Axes, picture: Picture, place: Mapping[str, float]) -> None:
    lines = picture.lines()
    intervals = any(len(values) > 1 for values in map(picture.values, place))
    what = f"mean{', 95 % interval' * intervals}, seeds beside it"
    apart = 0.0 if picture.x_axis is None or picture.x_axis.is_numeric else 0.12
    looks = cycle(SERIES) if len(lines) > 1 else cycle([(BLUE, "o")])
    for i, ((label, arms), (color, marker)) in enumerate(zip(lines, looks, strict=False)):
        shift = apart * (i - (len(lines) - 1) / 2)  # lines over categories, side by side
        points = [Point(place.get(arm, math.nan) + shift, picture.values(arm)) for arm in arms]
        draw_series(
            axes,
            picture.metric,
            points,
            color=color,
            marker=marker,
            label=picture.words.find(f"this study: {what}", "this study")
            if label is None
            else label,
            line=picture.plot.kind == "line",
            band=picture.plot.band,
        )
        gone = [place[arm] + shift for arm in arms if arm in picture.diverged and arm in place]
        _draw_diverged(axes, gone, color, picture.words.find(DIVERGED["label"]))
    along = picture.metric.axis_label + LOG_SCALE * (picture.plot.y_scale == "log")
    axes.set_ylabel(picture.words.find(along, picture.y))
    axes.grid(axis="y", color="0.92")


def _draw_diverged(axes: Axes, positions: Sequence[float], color: str, label: str) -> None:
    """Mark at the foot of the axis where trials diverged, which have no value to draw."""
    if not positions:
        return
    named = any(line.get_label() == label for line in axes.lines)
    look = DIVERGED | {"color": color, "clip_on": False, "label": "_" if named else label}
    height = [0.03] * len(positions)  # as a share of the axis
    axes.plot(positions, height, transform=axes.get_xaxis_transform(), **look)


def _draw_legend(figure: SubFigure, picture: Picture) -> None:
    lines, axis = picture.lines_axis, picture.x_axis
    title = None
    if lines is not None and axis is None:
        along = [other for other in picture.axes if other is not lines]
        title = f"points along a line: {along[0].label} {', '.join(along[0].names)}"
        title = picture.words.find(title)
    columns = min(4, len(lines.names)) if lines is not None else 2
    draw_legend(figure, columns, title)


def draw_baselines(axes: Axes, picture: Picture) -> None:
    """Draw each baseline's mean and each reference as a horizontal line, named in the legend."""
    metric = picture.metric
    estimates = [
        (picture.baseline_label(label), estimate(values))
        for label, values in picture.baselines().items()
    ]
    means = [(label, e.mean) for label, e in estimates]
    references = [(picture.words.find(k), level) for k, level in picture.plot.reference.items()]
    for (label, mean), linestyle in zip([*means, *references], cycle(BASELINE_STYLES)):
        axes.axhline(
            metric.shown(mean),
            color="0.35",
            linestyle=linestyle,
            linewidth=1.2,
            label=f"{label} ({metric.format(mean)})",
            zorder=1,
        )
    if picture.plot.baseline_intervals:
        _draw_baseline_intervals(axes, metric, [e for _, e in estimates])


def _draw_baseline_intervals(axes: Axes, metric: Metric, estimates: Sequence[Estimate]) -> None:
    """Draw intervals as bars at the right of the axes, side by side, each crossed by its line."""
    for i, (e, linestyle) in enumerate(zip(estimates, cycle(BASELINE_STYLES), strict=False)):
        x, mean = 1.015 + 0.02 * i, metric.shown(e.mean)  # as a share of the axis
        look: dict[str, Any] = {
            "color": "0.35",
            "clip_on": False,
            "transform": axes.get_yaxis_transform(),
        }
        axes.plot([1, x], [mean, mean], linestyle=linestyle, linewidth=1.2, **look)
        axes.plot([x], [mean], marker="o", markersize=4, **look)
        if e.half_width is not None:
            half = metric.shown(e.half_width)
            axes.plot([x, x], [mean - half, mean + half], marker="_", linewidth=1.2, **look)


def _draw_published(axes: Axes, published: Published, axis: Axis, picture: Picture) -> None:
    positions = dict(zip(axis.names, _positions(axis), strict=True))
    beside = 0.0 if axis.is_numeric else 0.15  # of a category, where both marks might coincide
    # Published values of levels that this run leaves out have no place on a category axis.
    found = [
        (float(place) if axis.is_numeric else positions[format_value(place)], y)
        for place, y in zip(published.x, published.y, strict=True)
        if axis.is_numeric or format_value(place) in positions
    ]
    joined = picture.plot.kind == "line" and len({position for position, _ in found}) == len(found)
    twin = axes if published.same_unit else axes.twinx()
    twin.plot(
        [position + beside for position, _ in found],
        [y for _, y in found],
        color=VERMILION,
        marker="s",
        markerfacecolor="none",
        linestyle="--" if joined else "none",
        label=picture.words.find(published.source + " (right axis)" * (twin is not axes)),
    )
    if twin is axes:
        return
    _color_published(twin, published, picture.words)
    twin.spines["right"].set(visible=True, color=VERMILION)
    twin.margins(y=0.15)


def _draw_panel(axes: Axes, published: Published, picture: Picture) -> None:
    x = [float(place) for place in published.x]
    axes.plot(x, published.y, color=VERMILION, marker="s", markerfacecolor="white", linestyle="--")
    if picture.plot.scale == "log":
        set_log_scale(axes, x)
    axes.set_xticks(x, [count_text(place) for place in x])
    axes.minorticks_off()
    axes.margins(x=0.2, y=0.15)
    axes.set_title(wrapped(picture.words.find(published.source), 34))
    metric: Metric | None = picture.x_metric
    assert metric is not None
    along = metric.label + LOG_SCALE * (picture.plot.scale == "log")
    axes.set_xlabel(picture.words.find(along))
    _color_published(axes, published, picture.words)
    axes.grid(axis="y", color="0.92")


def _color_published(axes: Axes, published: Published, words: Words) -> None:
    axes.set_ylabel(wrapped(words.find(published.label)), color=VERMILION)
    axes.tick_params("y", colors=VERMILION)


def _log_axis(axes: Axes, positions: Sequence[float]) -> None:
    if not positions:
        axes.set_xlim(1e3, 1e6)  # no point is drawn, and a logarithmic axis needs a range
    set_log_scale(axes, positions)
    if axes.get_xscale() == "log":
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
