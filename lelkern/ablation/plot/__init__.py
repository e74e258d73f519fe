"""The plots of a study, as PNG and SVG."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import style as matplotlib_style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from lelkern.ablation.judge.statistics import estimate, measured
from lelkern.ablation.plot import curve, heatmap, line
from lelkern.ablation.plot.fonts import Fonts, fonts_for
from lelkern.ablation.plot.picture import Picture
from lelkern.ablation.plot.style import FONT, RC, Frame
from lelkern.ablation.results import Results, in_words
from lelkern.ablation.study import EXPLORATORY, Plot, Study
from lelkern.files import write_atomically
from lelkern.methods.metric import Curve, Metric

_STYLE: Sequence[str | dict[str, Any]] = [
    "default",
    RC,
]  # whatever the user's own matplotlibrc says

# Without dates and versions a repeated report gives the same picture.
_METADATA: Mapping[str, Mapping[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
}


class Files(NamedTuple):
    """A plot that is written.

    Attributes:
        png: file.
        svg: file.
        lacking: characters that no installed font has: boxes in the PNG file; in the SVG file text
            is text then, for whoever looks at it to draw.
    """

    png: Path
    svg: Path
    lacking: str


def plot_study(
    study: Study,
    plot: Plot,
    results: Results,
    path_stem: Path,
    *,
    metrics: Mapping[str, Metric],
    curves: Mapping[str, Curve],
    subtitle: str = "",
) -> Files:
    """Draw one plot of a study and write it as PNG (150 dpi) and SVG.

    Args:
        study: as it was run.
        plot: one of the study's.
        results: finished trials.
        path_stem: path of the files without ``.png`` and ``.svg``.
        metrics: what the trials report, by name.
        curves: likewise.
        subtitle: sentence below the title, such as the verdict; by default the claims, or that
            there are none.

    Returns:
        The PNG and the SVG file; each appears whole or not at all.
    """
    figure, fonts = _draw_in_fonts(Picture(study, plot, results, metrics, curves), subtitle)
    png, svg = (path_stem.with_name(path_stem.name + suffix) for suffix in _METADATA)
    for path in (png, svg):
        write_atomically(path, lambda temporary: _save(figure, temporary, fonts))
    return Files(png, svg, fonts.lacking)


def _save(figure: Figure, path: Path, fonts: Fonts) -> None:
    with _look(fonts):
        figure.savefig(path, format=path.suffix[1:], metadata=dict(_METADATA[path.suffix]))


@contextmanager
def _look(fonts: Fonts) -> Iterator[None]:
    """Set the style of plots inside a ``with`` block."""
    own: dict[str, Any] = {"font.family": list(fonts.families)}
    if fonts.lacking:
        own["svg.fonttype"] = "none"
    with matplotlib_style.context([*_STYLE, own]), warnings.catch_warnings():
        # What is lacking is returned, and said once.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def draw_plot(picture: Picture, subtitle: str = "") -> Figure:
    """Draw a plot as :func:`plot_study` does, and return the figure instead of writing it."""
    return _draw_in_fonts(picture, subtitle)[0]


def _draw_in_fonts(picture: Picture, subtitle: str) -> tuple[Figure, Fonts]:
    """Draw a plot; anew if it holds characters for which its font does not do."""
    plain = Fonts((FONT,), "")
    figure = _draw(picture, subtitle, plain)
    fonts = fonts_for(figure.findobj(Text))
    if fonts.families != plain.families:
        figure = _draw(picture, subtitle, fonts)
    return figure, fonts


def _draw(picture: Picture, subtitle: str, fonts: Fonts) -> Figure:
    study = picture.study
    claims = " ".join(claim.says for claim in study.claim)
    notes = [*_notes(picture), *_missing(picture)]
    frame = Frame(study.title, subtitle or claims or EXPLORATORY, notes)
    kind = _kind(picture)
    with _look(fonts):
        figure, body = frame.figure(*kind.size(picture))
        FigureCanvasAgg(figure)
        kind.draw(body, picture)
    return figure


def _kind(picture: Picture) -> Any:
    if picture.plot.kind == "heatmap":
        return heatmap
    return curve if picture.curve is not None else line


def _notes(picture: Picture) -> list[str]:
    counts = picture.seed_counts()
    if not counts:
        notes = ["No trial has a result."]
    elif counts == {1}:
        notes = ["One seed an arm: no interval."]
    else:
        shown = {"heatmap": "Mean ± half-width"}.get(
            picture.plot.kind, "Bands" if picture.has_bands else "Bars"
        )
        seeds = " to ".join(str(n) for n in sorted({min(counts), max(counts)}))
        notes = [f"{shown}: 95 % Student t interval over {seeds} seeds."]
    if picture.x_metric is not None:
        notes[0] += " Dots beside a mean: its seeds."
    published = picture.plot.published
    if published is not None and published.note:
        notes.append(f"Published: {published.source}; {published.note}.")
    if picture.plot.kind == "heatmap":
        notes += _baselines_in_words(picture)
    return notes


def _missing(picture: Picture) -> list[str]:
    """Say which arms lack values, since a plot shows only what is there."""
    values = measured(picture.results.arms, picture.y)
    arms = [arm.label for arm in picture.study.arms()]
    ended = {arm: len(picture.diverged.get(arm, {})) for arm in arms}
    counts = {arm: len(values.get(arm, {})) + ended[arm] for arm in arms}
    most = max(counts.values())
    short = [f"{arm} ({n} of {most} seeds)" for arm, n in counts.items() if n < most]
    notes = [f"Incomplete: {'; '.join(short)}."] if short else []
    return [*notes, *_diverged(picture)]


def _diverged(picture: Picture) -> list[str]:
    """Say which trials diverged, and when."""
    found = [f"{arm} ({in_words(steps)})" for arm, steps in picture.diverged.items()]
    return [f"Diverged: {'; '.join(found)}."] if found else []


def _baselines_in_words(picture: Picture) -> list[str]:
    means = [
        f"{label} {picture.metric.format(estimate(values).mean)}"
        for label, values in picture.baselines().items()
    ]
    return [f"For comparison: {'; '.join(means)}."] if means else []
