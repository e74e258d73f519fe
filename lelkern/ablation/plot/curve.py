"""Curves that trials report, such as the loss against the steps: means over seeds, with bands."""

from collections.abc import Iterable, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from numpy.typing import NDArray

from lelkern.ablation.judge.statistics import estimate
from lelkern.ablation.plot.picture import Picture
from lelkern.ablation.plot.style import (
    BASELINE_STYLES,
    DIVERGED,
    LOG_SCALE,
    SERIES,
    VERMILION,
    draw_legend,
    fit_y,
    set_log_scale,
    wrapped,
)
from lelkern.ablation.results import Points, Row
from lelkern.methods.metric import Curve, Metric

_SIZE = (8.0, 4.9)  # inches
_PANEL = 3.6  # inches


def size(picture: Picture) -> tuple[float, float]:
    """Return width and height in inches."""
    width, height = _SIZE
    return max(width, _PANEL * len(picture.panels())), height


def draw(figure: SubFigure, picture: Picture) -> None:
    """Draw one line a level of the plot's ``lines``, and one a baseline, in every panel."""
    curve, name = picture.curve, picture.plot.x
    assert curve is not None
    assert name is not None
    panels = picture.panels()
    all_axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (title, lines) in zip(all_axes, panels, strict=True):
        _draw_panel(axes, picture, curve, name, lines)
        axes.set_title(wrapped(title, 34))
    drawn = _drawn(all_axes) if picture.plot.y_scale == "log" else None
    for axes in all_axes:
        fit_y(axes, curve.y, drawn)
    along = curve.y.axis_label + LOG_SCALE * (picture.plot.y_scale == "log")
    all_axes[0].set_ylabel(picture.words.find(along, name))
    if any(axes.lines for axes in all_axes):
        draw_legend(figure, most=4)


def _drawn(panels: Iterable[Axes]) -> list[float]:
    """Return the values along y, which panels share: all that is drawn but bands."""
    lines = [line for axes in panels for line in axes.lines]
    return [float(y) for line in lines for y in np.asarray(line.get_ydata()) if np.isfinite(y)]


def _draw_panel(
    axes: Axes,
    picture: Picture,
    curve: Curve,
    name: str,
    lines: Sequence[tuple[str | None, list[str]]],
) -> None:
    plot, words = picture.plot, picture.words
    seen: set[str] = set()
    diverged = words.find(DIVERGED["label"])
    for (label, arms), (color, _) in zip(lines, cycle(SERIES)):
        rows = [row for arm in arms for row in picture.rows(arm)]
        linestyle = "--" if color in seen else "-"
        seen.add(color)
        look = {"color": color, "linestyle": linestyle, "label": label or words.find(arms[0])}
        _draw_band(axes, curve.y, rows, name, diverged=diverged, **look)
    for baseline, linestyle in zip(picture.study.baseline, cycle(BASELINE_STYLES)):
        look = {
            "color": "0.35",
            "linestyle": linestyle,
            "label": picture.baseline_label(baseline.label),
        }
        rows = picture.rows(baseline.label)
        _draw_band(axes, curve.y, rows, name, diverged=diverged, **look)
    if plot.published is not None:
        axes.plot(
            [float(x) for x in plot.published.x],
            plot.published.y,
            color=VERMILION,
            marker="s",
            markerfacecolor="none",
            linestyle="--",
            label=words.find(f"{plot.published.source}: {plot.published.label}"),
        )
    if plot.scale == "log":
        set_log_scale(axes, [float(x) for line in axes.lines for x in np.asarray(line.get_xdata())])
    for label, value in plot.reference.items():
        axes.axhline(
            curve.y.shown(value), color="0.35", linewidth=1, label=words.find(label), zorder=1
        )
    axes.set_xlabel(words.find(curve.x.axis_label + LOG_SCALE * (plot.scale == "log")))
    axes.grid(axis="y", color="0.92")


def _draw_band(
    axes: Axes,
    metric: Metric,
    rows: Sequence[Row],
    name: str,
    *,
    diverged: str,
    color: str,
    linestyle: str,
    label: str,
) -> None:
    """Draw the mean of a curve and its 95 % interval over seeds, where all trials have it.

    Of several arms the mean is taken within each seed first. A trial that diverged is a line of its
    own, which ends where it did.
    """
    rows = [row for row in rows if len(row.curves.get(name, ()))]
    ended = [row for row in rows if row.diverged_at is not None]
    for i, row in enumerate(ended):
        steps, values = zip(*row.curves[name], strict=True)
        shown = [metric.shown(value) for value in values]
        axes.plot(steps, shown, color=color, linestyle=linestyle, linewidth=0.8, zorder=2)
        named = "_" if i else f"{label}: {diverged}"
        axes.plot(steps[-1:], shown[-1:], **DIVERGED | {"color": color, "label": named})
    rows = [row for row in rows if row.diverged_at is None]
    if not rows:
        return
    x, table = common_grid([row.curves[name] for row in rows])
    seeds = np.array([row.seed for row in rows])
    by_seed = np.stack([table[seeds == seed].mean(axis=0) for seed in np.unique(seeds)])
    estimates = [estimate([float(y) for y in column]) for column in by_seed.T]
    mean = np.array([metric.shown(e.mean) for e in estimates])
    axes.plot(x, mean, color=color, linestyle=linestyle, linewidth=1.5, label=label, zorder=3)
    if all(e.half_width is not None for e in estimates):
        half = np.array([metric.shown(e.half_width or 0.0) for e in estimates])
        axes.fill_between(x, mean - half, mean + half, color=color, alpha=0.15, linewidth=0)


def common_grid(series: Sequence[Points]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bring curves to the x that all of them cover, by linear interpolation.

    Returns:
        x (P,), every x of any curve in the range of all, and y (curves, P).
    """
    tables = [np.asarray(points, dtype=np.float64) for points in series]
    low = max(table[:, 0].min() for table in tables)
    high = min(table[:, 0].max() for table in tables)
    every = np.unique(np.concatenate([table[:, 0] for table in tables]))
    x = every[(every >= low) & (every <= high)]
    return x, np.stack([np.interp(x, table[:, 0], table[:, 1]) for table in tables])
