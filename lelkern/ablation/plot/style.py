"""What all plots of a study share: colours, marks, fonts, number formats and the frame."""

import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from unicodedata import east_asian_width

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from lelkern.ablation.judge.statistics import Estimate, estimate
from lelkern.ablation.plot.look import USUAL_FONT_SIZE, Look
from lelkern.config import ConfigError
from lelkern.methods.metric import Metric

# Okabe & Ito, "Color Universal Design" (2008): told apart by every kind of colour vision.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
BLACK, GREY = "#000000", "#8C8C8C"
# In greyscale the marks and line styles tell series apart, and where there are more than colours.
SERIES = tuple(
    zip((BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK, GREY, BLUE, ORANGE), "o^Dv*XP<>", strict=True)
)
# Dashes, dots, both; then long dashes, two dots a dash, and dots far apart.
BASELINE_STYLES: tuple[Any, ...] = (
    "--",
    ":",
    "-.",
    (0, (10, 3)),
    (0, (6, 2, 1, 2, 1, 2)),
    (0, (1, 5)),
)

DIVERGED: dict[str, Any] = {
    "label": "diverged",
    "marker": "x",
    "markersize": 7,
    "markeredgewidth": 2,
    "linestyle": "none",
    "zorder": 4,
}
"""The mark of trials that have no value."""

FONT = "DejaVu Sans"
"""Comes with matplotlib, so that every machine draws the same."""


def style_for(look: Look) -> dict[Any, Any]:
    """Return matplotlib's settings for a look."""
    return {
        "font.family": FONT,
        "text.parse_math": False,  # a dollar in a title is a dollar
        "font.size": look.font_size,
        "axes.labelsize": look.font_size,
        "axes.titlesize": look.font_size,
        "legend.fontsize": 9 * look.scale,
        "xtick.labelsize": 9 * look.scale,
        "ytick.labelsize": 9 * look.scale,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "errorbar.capsize": 3,
        "svg.hashsalt": "lelkern",  # else element names are random
        "pdf.fonttype": 42,  # text that can be selected and edited
        "savefig.dpi": 150,
    }


def points(size: float) -> float:
    """Return a font size in points, given that of usual plots, in the style that is set."""
    return float(size * rcParams["font.size"] / USUAL_FONT_SIZE)


TITLE_LINE, LINE, SMALL_LINE, MARGIN = 0.27, 0.19, 0.16, 0.12  # inches
# An inch has so many characters of the title, of other text and of small text.
TITLE_CHARACTERS, CHARACTERS, SMALL_CHARACTERS = 8.5, 13.0, 15.5
LEAST_BODY = 1.2  # inches, of a plot within its text


@dataclass(frozen=True)
class Frame:
    """The text around a plot.

    Attributes:
        title: heading.
        says: sentences below it, one paragraph each.
        notes: sentences at the foot, one paragraph each.
        small: what was measured, in small type below the notes.
    """

    title: str
    says: Sequence[str]
    notes: Sequence[str]
    small: str = ""

    def figure(self, width: float, height: float, look: Look) -> tuple[Figure, SubFigure]:
        """Return a figure with this text, wrapped, and the part of it to draw in.

        Args:
            width: of the figure in inches, unless its size is given.
            height: of the part to draw in.
            look: its size, that of its text, and whether there is any.

        Raises:
            ConfigError: the text leaves no room for the plot.
        """
        if look.size is not None:
            width = look.size[0]
            _check_room(width - 2 * MARGIN, look)
        inside, scale = (width - 2 * MARGIN) / look.scale, look.scale
        title, says, notes, small = (
            ([], [], [], [])
            if look.bare
            else (
                _lines(self.title, int(inside * TITLE_CHARACTERS)),
                _paragraphs(self.says, inside * CHARACTERS),
                _paragraphs(self.notes, inside * CHARACTERS),
                _paragraphs([self.small], inside * SMALL_CHARACTERS),
            )
        )
        below_title = MARGIN + TITLE_LINE * scale * len(title)
        head = below_title + LINE * scale * len(says) + MARGIN / 2
        below_notes = MARGIN + LINE * scale * len(notes)
        foot = below_notes + SMALL_LINE * scale * len(small) + MARGIN
        if look.size is not None:
            height = look.size[1] - head - foot
            _check_room(height, look)
        figure = Figure(figsize=(width, head + height + foot), layout="constrained")
        # A matrix, whose cells are square, gets less room than the layout takes it to have.
        figure.get_layout_engine().set(w_pad=MARGIN)  # type: ignore[union-attr, call-arg]
        parts = figure.subfigures(3, 1, squeeze=False, height_ratios=(head, height, foot))
        header, body, footer = parts[:, 0]
        left = MARGIN / width
        for part, y, lines, size, look_of in (
            (header, 1 - MARGIN / head, title, 13, {"weight": "bold"}),
            (header, 1 - below_title / head, says, 9.5, {}),
            (footer, 1 - MARGIN / foot, notes, 9, {"color": "0.3"}),
            (footer, 1 - below_notes / foot, small, 7.5, {"color": "0.3"}),
        ):
            text = "\n".join(lines)
            part.text(left, y, text, size=points(size), linespacing=1.25, va="top", **look_of)
        return figure, body


def _check_room(inches: float, look: Look) -> None:
    """Refuse a size that leaves so little for the plot."""
    if inches < LEAST_BODY * look.scale:
        raise no_room(look)


def no_room(look: Look) -> ConfigError:
    """Return the error that a size leaves no room for the plot."""
    width, height = (2.54 * inches for inches in look.size or (0.0, 0.0))
    return ConfigError(
        f"size: must leave room for the plot beside its text at {look.font_size:g} points, "
        f"got {width:.4g} x {height:.4g} cm"
    )


def _paragraphs(texts: Sequence[str], width: float) -> list[str]:
    """Return the lines of paragraphs, each of which begins on one of its own."""
    return [line for text in texts for line in _lines(_unbroken(text), int(width))]


def _unbroken(text: str) -> str:
    """Keep ``p = 0.01`` and ``3 %`` on one line: textwrap does not break no-break spaces."""
    return re.sub(" (?=[=<%])|(?<=[=<]) ", "\N{NO-BREAK SPACE}", text)


@dataclass(frozen=True)
class Point:
    """One arm of a series.

    Attributes:
        x: position; NaN where it is unknown.
        values: one a seed; empty for an arm without a finished trial, where the line is broken.
    """

    x: float
    values: Sequence[float]


def draw_series(
    axes: Axes,
    metric: Metric,
    points: Sequence[Point],
    *,
    color: str,
    marker: str,
    label: str,
    line: bool = True,
    band: bool = False,
) -> None:
    """Draw means with 95 % intervals, and beside each the seeds; one seed has no interval."""
    estimates = [estimate(point.values) if point.values else None for point in points]
    x = [point.x for point in points]
    mean = [metric.shown(e.mean) if e else math.nan for e in estimates]
    half = [_half_width(metric, e) for e in estimates]
    if band:
        low = [m - h for m, h in zip(mean, half, strict=True)]
        high = [m + h for m, h in zip(mean, half, strict=True)]
        axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
    axes.errorbar(
        x,
        mean,
        yerr=None if band else half,
        color=color,
        marker=marker,
        markersize=6,
        linestyle="-" if line else "none",
        linewidth=1.5,
        label=label,
        zorder=3,
    )
    dots = [(point.x, metric.shown(value)) for point in points for value in point.values]
    # Beside the mean, whose mark and bar would hide them.
    aside = ScaledTranslation(7 / 72, 0, axes.figure.dpi_scale_trans)
    if dots:
        axes.update_datalim(dots)  # what is drawn aside does not count by itself
    axes.plot(
        [x for x, _ in dots],
        [y for _, y in dots],
        color=color,
        marker="o",
        markersize=3.5,
        markeredgewidth=0,
        alpha=0.5,
        linestyle="none",
        transform=axes.transData + aside,
        zorder=2,
    )


def _half_width(metric: Metric, e: Estimate | None) -> float:
    return math.nan if e is None or e.half_width is None else metric.shown(e.half_width)


def fit_y(axes: Axes, metric: Metric, drawn: Sequence[float] | None = None) -> None:
    """Fit y to a metric, once all is drawn: a percentage ends where it cannot go on.

    Args:
        axes: where.
        metric: what lies along y; an interval of two seeds may be wider than what is possible.
        drawn: for a logarithmic y, what is drawn but for intervals, which are cut off at its foot.
    """
    if drawn is not None:
        set_log_scale(axes, drawn, along="y")
    if metric.is_fraction:
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, -102 if metric.signed else -2), min(high, 102))
    if drawn is not None:
        _fit_log_y(axes, _smallest_size(drawn))


def _fit_log_y(axes: Axes, least: float) -> None:
    """Cut off below the smallest size that is drawn what only intervals reach, and label y."""
    low, high = axes.get_ylim()
    if low > 0:
        low = max(low, least / 2)
        axes.set_ylim(low, high)
        ticks = _log_ticks(low, high)
    else:
        below = [-tick for tick in _log_ticks(least, -low)]
        ticks = [*below, 0.0, *_log_ticks(least, high)]
    axes.set_yticks(ticks)
    axes.yaxis.set_minor_locator(NullLocator())


LOG_SCALE = " (log scale)"
"""What the label of a logarithmic axis ends with."""


def set_log_scale(axes: Axes, values: Sequence[float], along: Literal["x", "y"] = "x") -> None:
    """Make an axis logarithmic, and linear from the smallest size to 0 if that or less is drawn.

    Args:
        axes: whose ticks are labelled by :func:`count_text` then.
        values: what is to be drawn along the axis.
        along: which axis.
    """
    set_scale = axes.set_xscale if along == "x" else axes.set_yscale
    axis = axes.xaxis if along == "x" else axes.yaxis
    if any(value <= 0 for value in values):
        # 0 is one decade further on.
        set_scale("symlog", linthresh=_smallest_size(values), linscale=0.9)
    else:
        set_scale("log")
    axis.set_major_formatter(FuncFormatter(lambda value, _: count_text(value)))
    axis.set_minor_formatter(NullFormatter())


def _smallest_size(values: Sequence[float]) -> float:
    """Return the smallest size of those that are not 0; 1 if all are."""
    return min((abs(value) for value in values if value), default=1.0)


def _log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten between two positive numbers, and as much more as three ticks need."""
    if not 0 < low <= high:
        return []
    decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    for digits in ((1,), (1, 2, 5), range(1, 10)):
        ticks = [digit * 10.0**k for k in decades for digit in digits]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks
    return [tick for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]


def count_text(value: float) -> str:
    """Write a count on an axis: ``300``, ``25k``, ``375M``."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g}{suffix}"
    return f"{value:g}"


def draw_legend(figure: SubFigure, most: int, title: str | None = None) -> None:
    """Name all that is labelled in a figure, below it, in as many columns as fit.

    What several panels have is named once.

    Args:
        figure: what is drawn.
        most: columns.
        title: heading.
    """
    handles: list[Any] = []
    labels: list[str] = []
    for axes in figure.axes:
        named = set(labels)
        for mark, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if (text := wrapped(label)) not in named:
                handles.append(mark)
                labels.append(text)
    width = figure.figure.get_figwidth()
    handle = 8  # characters that a line with its mark takes, and the space beside it

    def fits(columns: int) -> bool:
        parts = np.array_split(labels, columns)  # as a legend does
        widest = [max(len(line) for label in part for line in label.split("\n")) for part in parts]
        return sum(widest) + handle * len(widest) <= width * CHARACTERS * 9 / points(9)

    columns = next((n for n in range(min(most, max(1, len(labels))), 1, -1) if fits(n)), 1)
    figure.legend(
        handles,
        labels,
        title=title,
        title_fontsize=points(9),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
    )


def wrapped(label: str, width: int = 44) -> str:
    """Break a long label into lines; by default, lines that fit beside an axis."""
    return "\n".join(_lines(label, width))


def _lines(text: str, width: int) -> list[str]:
    """Break a text into lines of a width in characters, of which wide ones count twice."""
    filler = "\ue000"  # of no language
    padded = "".join(c + filler * (east_asian_width(c) in "WF") for c in text)
    return [line.replace(filler, "") for line in textwrap.wrap(padded, width)]
