"""The plot of a study, as PNG and SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lelkern.ablation import plot_heatmap, plot_line, plot_parameters
from lelkern.ablation.metrics import METRICS
from lelkern.ablation.plot_style import RC, Frame
from lelkern.ablation.statistics import Baseline, Row, estimate, measured
from lelkern.ablation.study import Study
from lelkern.files import write_atomically

_STYLE: Sequence[str | dict[str, Any]] = [
    "default",
    RC,
]  # whatever the user's own matplotlibrc says

# Without dates and versions a repeated report gives the same picture.
_METADATA: Mapping[str, Mapping[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
}


def plot_study(
    study: Study,
    rows: Sequence[Row],
    baselines: Sequence[Baseline],
    path_stem: Path,
    subtitle: str = "",
) -> tuple[Path, Path]:
    """Draw a study and write it as PNG (150 dpi) and SVG.

    Args:
        study: as it was run.
        rows: finished trials of its arms.
        baselines: references, each with finished trials.
        path_stem: path of the files without ``.png`` and ``.svg``.
        subtitle: sentence below the title, such as the verdict; by default the claim.

    Returns:
        Paths of the PNG and the SVG file; each appears whole or not at all.
    """
    figure = draw_study(study, rows, baselines, subtitle)
    png, svg = (path_stem.with_name(path_stem.name + suffix) for suffix in _METADATA)
    for path in (png, svg):
        write_atomically(path, lambda temporary: _save(figure, temporary))
    return png, svg


def _save(figure: Figure, path: Path) -> None:
    with style.context(_STYLE):
        figure.savefig(path, format=path.suffix[1:], metadata=dict(_METADATA[path.suffix]))


def draw_study(
    study: Study, rows: Sequence[Row], baselines: Sequence[Baseline], subtitle: str = ""
) -> Figure:
    """Draw a study as :func:`plot_study` does, and return the figure instead of writing it."""
    notes = [*_notes(study, rows), *_missing(study, rows)]
    if study.plot == "heatmap" and baselines:
        notes += _baselines_in_words(study, baselines)
    frame = Frame(study.title, subtitle or study.claim, notes)
    with style.context(_STYLE):
        figure, body = frame.figure(*_size(study))
        FigureCanvasAgg(figure)
        match study.plot:
            case "heatmap":
                plot_heatmap.draw_heatmap(body, study, rows)
            case "parameters":
                plot_parameters.draw_parameters(body, study, rows, baselines)
            case "line" | "category":
                plot_line.draw_line(body, study, rows, baselines)
    return figure


def _size(study: Study) -> tuple[float, float]:
    match study.plot:
        case "heatmap":
            wide = study.published is not None
            return plot_heatmap.SIZE_WITH_PUBLISHED if wide else plot_heatmap.SIZE
        case "parameters":
            wide = study.published is not None
            return plot_parameters.SIZE_WITH_PUBLISHED if wide else plot_parameters.SIZE
        case "line" | "category":
            return plot_line.SIZE


def _notes(study: Study, rows: Sequence[Row]) -> list[str]:
    counts = {len(values) for values in measured(rows, study.metric).values()}
    if not counts:
        notes = ["No trial has a result."]
    elif counts == {1}:
        notes = ["One seed an arm: no interval."]
    else:
        shown = "Mean ± half-width" if study.plot == "heatmap" else "Bars"
        seeds = " to ".join(str(n) for n in sorted({min(counts), max(counts)}))
        notes = [f"{shown}: 95 % Student t interval over {seeds} seeds."]
    if study.plot == "parameters":
        notes[0] += " Dots beside a mean: its seeds."
    if study.published and study.published.note:
        notes.append(f"Published: {study.published.source}; {study.published.note}.")
    return notes


def _missing(study: Study, rows: Sequence[Row]) -> list[str]:
    """Say which arms lack values, since a plot shows only what is there."""
    values = measured(rows, study.metric)
    counts = {arm.label: len(values.get(arm.label, {})) for arm in study.arms()}
    most = max(counts.values())
    short = [f"{arm} ({n} of {most} seeds)" for arm, n in counts.items() if n < most]
    return [f"Incomplete: {'; '.join(short)}."] if short else []


def _baselines_in_words(study: Study, baselines: Sequence[Baseline]) -> list[str]:
    metric = METRICS[study.metric]
    values = {b.name: measured(b.rows, study.metric).get(b.name) for b in baselines}
    means = [
        f"{name} {metric.format(estimate(list(v.values())).mean)}"
        for name, v in values.items()
        if v
    ]
    return [f"For comparison: {'; '.join(means)}."] if means else []
