"""Several metrics beside each other, in a panel for every arm and every baseline."""

from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from lelkern.ablation.judge.statistics import measured
from lelkern.ablation.plot.picture import Picture
from lelkern.ablation.plot.style import (
    SERIES,
    VERMILION,
    Point,
    draw_legend,
    draw_series,
    fit_y,
    wrapped,
)
from lelkern.methods.metric import Metric

_PANEL, _AXIS = (3.7, 3.4), 0.8  # inches
_ABREAST = 3  # panels
_APART = 0.3  # of series at one place, as a share of the way to the next


def size(picture: Picture) -> tuple[float, float]:
    """Return width and height in inches."""
    rows, columns = _grid(len(_titles(picture)))
    return max(8.0, _AXIS + _PANEL[0] * columns), _AXIS + max(4.1, _PANEL[1] * rows)


def _grid(panels: int) -> tuple[int, int]:
    """Return in how many rows and columns panels stand."""
    rows = -(-panels // _ABREAST)
    return rows, -(-panels // rows)


def draw(figure: SubFigure, picture: Picture) -> None:
    """Draw the panels; published figures are in every one, on the same axis."""
    titles = _titles(picture)
    rows, columns = _grid(len(titles))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (label, title) in zip(panels.flat, titles.items(), strict=False):
        _draw_panel(axes, picture, label)
        axes.set_title(wrapped(title, 34))
    for axes in panels.flat[len(titles) :]:
        axes.remove()
    for axes in panels.flat[len(titles) - columns : len(titles)]:  # the lowest of their column
        axes.tick_params(labelbottom=True)
    metric = _metric(picture)
    for axes in panels[:, 0]:
        axes.set_ylabel(picture.words.find(f"in {metric.unit}" if metric.unit else "value"))
    fit_y(panels[0, 0], metric)
    draw_legend(figure, 4)


def _titles(picture: Picture) -> dict[str, str]:
    """Return the titles of all panels by label: of arms, and of baselines that have a metric."""
    shown = [name for names in picture.plot.series.values() for name in names]
    having = {arm for name in shown for arm in measured(picture.results.baselines, name)}
    baselines = [b.label for b in picture.study.baseline if b.label in having]
    return {
        **{arm.label: picture.words.find(arm.label) for arm in picture.study.arms()},
        **{label: picture.baseline_label(label) for label in baselines},
    }


def _metric(picture: Picture) -> Metric:
    """Return the first metric, in whose unit all are."""
    (first, *_), *_ = picture.plot.series.values()
    return picture.metrics[first]


def _draw_panel(axes: Axes, picture: Picture, label_of: str) -> None:
    plot, words = picture.plot, picture.words
    rows = picture.rows(label_of)
    many = len(plot.series)
    for line, ((label, names), (color, marker)) in enumerate(
        zip(plot.series.items(), cycle(SERIES), strict=False)
    ):
        shift = _APART * (line / (many - 1) - 0.5) if many > 1 else 0.0
        values = [measured(rows, name).get(label_of, {}) for name in names]
        draw_series(
            axes,
            _metric(picture),
            [Point(i + shift, list(of.values())) for i, of in enumerate(values)],
            color=color,
            marker=marker,
            label=words.find(label),
            line=False,
        )
    if plot.published is not None:
        x = [plot.names.index(str(name)) for name in plot.published.x]
        axes.plot(
            x,
            plot.published.y,
            color=VERMILION,
            marker="_",
            markersize=18,
            markeredgewidth=1.5,
            linestyle="none",
            label=words.find(plot.published.source),
        )
    axes.set_xlim(-0.5, len(plot.names) - 0.5)
    places = [words.find(name) for name in plot.names]
    axes.set_xticks(range(len(places)), places, rotation=35, ha="right")
    axes.grid(axis="y", color="0.92")
