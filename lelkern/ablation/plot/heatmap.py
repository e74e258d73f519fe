"""A matrix of means: every pair of a factor's parts, the diagonal a part alone; or two axes."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.patches import Rectangle

from lelkern.ablation.judge.statistics import estimate
from lelkern.ablation.plot.picture import Picture
from lelkern.ablation.plot.style import points, wrapped

COLORS = colormaps["cividis"]  # even in lightness, also without red-green vision
_HEIGHT, _WIDTH, _WIDTH_WITH_PUBLISHED = 5.2, 7.0, 12.0  # inches
_ROWS = 5
"""From so many rows on a picture grows with them."""

Cells = Sequence[Sequence[Sequence[str]]]
"""Of every row and column the labels that its cell may have."""


def size(picture: Picture) -> tuple[float, float]:
    """Return width and height in inches."""
    growth = max(1.0, len(_cells(picture)[0]) / _ROWS)
    width = _WIDTH if picture.plot.published is None else _WIDTH_WITH_PUBLISHED
    return growth * width, growth * _HEIGHT


def draw(figure: SubFigure, picture: Picture) -> None:
    """Draw the study's matrix and, beside it, that of the published figures if there are any."""
    metric, published = picture.metric, picture.plot.published
    estimates = {
        arm.label: estimate(values)
        for arm in picture.study.arms()
        if (values := picture.values(arm.label))
    }
    texts = {
        arm: metric.number(e.mean)
        + ("" if e.half_width is None else f"\n± {metric.number(e.half_width)}")
        for arm, e in estimates.items()
    }
    rows, columns, cells = _cells(picture)
    panels = figure.subplots(1, 2 if published else 1, squeeze=False)[0]
    means = {arm: metric.shown(e.mean) for arm, e in estimates.items()}
    words = picture.words
    unit = words.find(metric.axis_label, picture.y)
    _draw_matrix(panels[0], rows, columns, cells, means, texts, unit, picture)
    if published is not None:
        shown = dict(zip(map(str, published.x), published.y, strict=True))
        decimals = (len(f"{value:g}".partition(".")[2]) for value in published.y)
        digits = max(decimals, default=0)
        plain = {arm: f"{value:.{digits}f}" for arm, value in shown.items()}
        unit = words.find(published.label)
        _draw_matrix(panels[1], rows, columns, cells, shown, plain, unit, picture, of_study=False)
        panels[0].set_title(words.find("this study"))
        panels[1].set_title(wrapped(words.find(published.source), 60))
    first, second = _axis_labels(picture)
    for axes in panels:
        axes.set_xlabel(second)
    panels[0].set_ylabel(first)


def _axis_labels(picture: Picture) -> tuple[str, str]:
    """Return the labels of the axes of rows and columns."""
    words, axes = picture.words, picture.axes
    first, second = (words.find(axis.label, axis.key) for axis in (axes[0], axes[-1]))
    if len(axes) == 1 and picture.study.factor[0].ordered:
        return f"{first}, applied first", f"{second}, applied second"
    return first, second


def _cells(picture: Picture) -> tuple[list[str], list[str], Cells]:
    """Return the names of rows and columns, and the labels of the arm in every cell."""
    return _pairs(picture) if len(picture.axes) == 1 else _product(picture)


def _pairs(picture: Picture) -> tuple[list[str], list[str], Cells]:
    """Return the parts of a factor's pairs, and the labels of each two: rows come first.

    Where the order is no part of the study, those of either order.
    """
    factor = picture.study.factor[0]
    names = list(factor.part_labels())
    labels = iter(factor.labels())
    cells = [[[""]] * len(names) for _ in names]
    for i in range(len(names)):
        cells[i][i] = [next(labels)]
    if factor.ordered:
        for i, j in itertools.permutations(range(len(names)), 2):
            cells[i][j] = [next(labels), f"{names[i]}+{names[j]}"]
        return names, names, cells
    for i, j in itertools.combinations(range(len(names)), 2):
        one, other = names[i], names[j]
        cells[i][j] = cells[j][i] = [next(labels), f"{one}+{other}", f"{other}+{one}"]
    return names, names, cells


def _product(picture: Picture) -> tuple[list[str], list[str], Cells]:
    """Return the levels of both axes, and the label of the arm in every cell."""
    first, second = picture.axes
    labels = {arm.place: arm.label for arm in picture.study.arms()}
    cells = [[[labels[i, j]] for j in second.order] for i in first.order]
    return (
        [first.names[i] for i in first.order],
        [second.names[j] for j in second.order],
        cells,
    )


def _draw_matrix(
    axes: Axes,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Cells,
    values: Mapping[str, float],
    texts: Mapping[str, str],
    unit: str,
    picture: Picture,
    *,
    of_study: bool = True,
) -> None:
    words = picture.words
    found = [[next((arm for arm in arms if arm in values), None) for arms in row] for row in cells]
    matrix = np.array([[values[arm] if arm else np.nan for arm in row] for row in found])
    image = axes.imshow(np.ma.masked_invalid(matrix), cmap=COLORS)
    for i, j in np.ndindex(*matrix.shape):
        arm = found[i][j]
        if arm is None:
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, hatch="//", ec="0.8"))
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            diverged = of_study and any(arm in picture.diverged for arm in cells[i][j])
            said = words.find("diverged" if diverged else "no data")
            axes.text(j, i, said, ha="center", va="center", size=points(9), bbox=box)
            continue
        red, green, blue, _ = image.to_rgba(matrix[i, j])
        # Relative luminance of the cell, Rec. 709 weights.
        dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5
        color = "white" if dark else "black"
        axes.text(j, i, texts[arm], ha="center", va="center", size=points(10), color=color)
    rows, columns = ([words.find(name) for name in names] for names in (rows, columns))
    turned = max(map(len, columns)) * len(columns) > 40
    axes.set_xticks(
        range(len(columns)),
        columns,
        rotation=30 if turned else 0,
        ha="right" if turned else "center",
    )
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.figure.colorbar(image, ax=axes, label=unit, shrink=0.85)
