"""Every pair of a factor's parts as a symmetric matrix; the diagonal is a part alone."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.patches import Rectangle

from lelkern.ablation.metrics import METRICS
from lelkern.ablation.plot_style import wrapped
from lelkern.ablation.statistics import Row, estimate, measured
from lelkern.ablation.study import Study, format_value

COLORS = colormaps["cividis"]  # even in lightness, also without red-green vision
SIZE, SIZE_WITH_PUBLISHED = (7.0, 5.2), (12.0, 5.2)  # inches


def draw_heatmap(figure: SubFigure, study: Study, rows: Sequence[Row]) -> None:
    """Draw the study's matrix and, beside it, that of the published figures if there are any."""
    metric = METRICS[study.metric]
    estimates = {
        arm: estimate(list(values.values())) for arm, values in measured(rows, study.metric).items()
    }
    texts = {
        arm: metric.number(e.mean)
        + ("" if e.half_width is None else f"\n± {metric.number(e.half_width)}")
        for arm, e in estimates.items()
    }
    names = _parts(study)
    panels = figure.subplots(1, 2 if study.published else 1, squeeze=False)[0]
    means = {arm: metric.shown(e.mean) for arm, e in estimates.items()}
    _draw_matrix(panels[0], names, means, texts, metric.axis_label)
    if study.published:
        published = dict(zip(map(str, study.published.x), study.published.y, strict=True))
        plain = {arm: f"{value:g}" for arm, value in published.items()}
        _draw_matrix(panels[1], names, published, plain, study.published.label)
        panels[0].set_title("this study")
        panels[1].set_title(wrapped(study.published.source, 60))
    for axes in panels:
        axes.set_xlabel(study.factor[0].label)
    panels[0].set_ylabel(study.factor[0].label)


def _parts(study: Study) -> list[str]:
    levels = study.factor[0].levels()
    return list(dict.fromkeys(format_value(part) for level in levels for part in level))


def _draw_matrix(
    axes: Axes,
    names: Sequence[str],
    values: Mapping[str, float],
    texts: Mapping[str, str],
    unit: str,
) -> None:
    n = len(names)
    matrix = np.full((n, n), np.nan)
    for i, j in np.ndindex(n, n):
        matrix[i, j] = values.get(_arm(names, i, j, values), np.nan)
    image = axes.imshow(np.ma.masked_invalid(matrix), cmap=COLORS)
    for i, j in np.ndindex(n, n):
        if np.isnan(matrix[i, j]):
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, hatch="//", ec="0.8"))
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            axes.text(j, i, "no data", ha="center", va="center", size=9, bbox=box)
            continue
        red, green, blue, _ = image.to_rgba(matrix[i, j])
        # Relative luminance of the cell, Rec. 709 weights.
        dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5
        text = texts[_arm(names, i, j, values)]
        axes.text(j, i, text, ha="center", va="center", size=10, color="white" if dark else "black")
    turned = max(map(len, names)) * n > 40
    axes.set_xticks(
        range(n), names, rotation=30 if turned else 0, ha="right" if turned else "center"
    )
    axes.set_yticks(range(n), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.figure.colorbar(image, ax=axes, label=unit, shrink=0.85)


def _arm(names: Sequence[str], i: int, j: int, values: Mapping[str, float]) -> str:
    """Return the label of the arm in this cell, in whichever order it names its parts."""
    if i == j:
        return names[i]
    straight, turned = f"{names[i]}+{names[j]}", f"{names[j]}+{names[i]}"
    return straight if straight in values else turned
