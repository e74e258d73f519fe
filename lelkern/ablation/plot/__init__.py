"""The plots of a study, as PNG, SVG or PDF."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from matplotlib import style as matplotlib_style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from lelkern.ablation.judge.statistics import estimate, measured
from lelkern.ablation.plot import curve, heatmap, line, several_metrics
from lelkern.ablation.plot.fit import fit_labels, fits
from lelkern.ablation.plot.fonts import Fonts, fonts_for
from lelkern.ablation.plot.look import Look, Words
from lelkern.ablation.plot.picture import Picture
from lelkern.ablation.plot.style import FONT, Frame, no_room, style_for
from lelkern.ablation.results import in_words
from lelkern.ablation.study import EXPLORATORY
from lelkern.files import write_atomically

Format = Literal["png", "svg", "pdf"]

# Without dates and versions a repeated report gives the same picture.
_METADATA: Mapping[Format, Mapping[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}

_MOST_NAMED = 6  # arms that a note names


class Drawing:
    """A plot that is drawn, and can be written in several formats."""

    def __init__(
        self, picture: Picture, says: Sequence[str] = (), small: str = "", look: Look | None = None
    ) -> None:
        """Draw a plot; anew if it holds characters for which its font does not do.

        Args:
            picture: what is drawn.
            says: sentences below the title, a paragraph each; by default the claims, or that
                there are none.
            small: what was measured, in small type at the foot.
            look: its size, its fonts, its words.

        Raises:
            ConfigError: a size leaves no room for the plot.
        """
        self._look = look or Look()
        self._words = Words(self._look.words)
        self._fonts = Fonts((FONT,), "")
        claims = [claim.says for claim in picture.study.claim]
        frame = Frame(
            self._words.find(picture.study.title, "title"),
            says or [" ".join(claims) or EXPLORATORY],
            [*_notes(picture), *_missing(picture)],
            small,
        )
        picture = replace(picture, words=self._words)
        self.figure = self._draw(frame, picture)
        fonts = fonts_for(self.figure.findobj(Text))
        anew = fonts.families != self._fonts.families
        self._fonts = fonts
        if anew:
            self.figure = self._draw(frame, picture)

    @property
    def texts(self) -> tuple[str, ...]:
        """Keys of the texts that a look can replace."""
        return tuple(self._words.asked)

    @property
    def lacking(self) -> str:
        """Characters that no installed font has.

        They are boxes in PNG and PDF files; in SVG files text is text then, for whoever looks at
        it to draw.
        """
        return self._fonts.lacking

    def write(self, path: Path) -> None:
        """Write the plot, in the format that the path ends in; it appears whole or not at all."""
        write_atomically(path, self._save)

    def _save(self, path: Path) -> None:
        format_: Any = path.suffix[1:]
        with self._style():
            self.figure.savefig(path, format=format_, metadata=dict(_METADATA[format_]))

    def _draw(self, frame: Frame, picture: Picture) -> Figure:
        kind = _kind(picture)
        with self._style():
            width, height = kind.size(picture)
            figure, body = frame.figure(width, height, self._look)
            FigureCanvasAgg(figure)
            kind.draw(body, picture)
            fit_labels(figure, body)
            if self._look.size is not None and not fits(figure):
                raise no_room(self._look)
        return figure

    @contextmanager
    def _style(self) -> Iterator[None]:
        """Set the style of plots inside a ``with`` block, whatever the user's own settings are."""
        own: dict[str, Any] = {"font.family": list(self._fonts.families)}
        if self._fonts.lacking:
            own["svg.fonttype"] = "none"
        with (
            matplotlib_style.context(["default", style_for(self._look), own]),
            warnings.catch_warnings(),
        ):
            # What is lacking is returned, and said once; so is what has no room.
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            warnings.filterwarnings("ignore", "constrained_layout not applied")
            yield


def _kind(picture: Picture) -> Any:
    if picture.plot.kind == "heatmap":
        return heatmap
    if picture.plot.kind == "metrics":
        return several_metrics
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
    """Say which arms and baselines lack values, since a plot shows only what is there."""
    study = picture.study
    values = measured(picture.results.arms, picture.y)
    arms = [arm.label for arm in study.arms()]
    ended = {arm: len(picture.diverged.get(arm, {})) for arm in arms}
    counts = {arm: (len(values.get(arm, {})) + ended[arm], study.seeds) for arm in arms}
    counts |= {b.label: (len(picture.rows(b.label)), study.seeds_of(b)) for b in study.baseline}
    short = [f"{arm} ({n} of {of} seeds)" for arm, (n, of) in counts.items() if n < of]
    if len(short) > _MOST_NAMED:
        short[_MOST_NAMED:] = [f"{len(short) - _MOST_NAMED} more"]
    notes = [f"Incomplete: {'; '.join(short)}."] if short else []
    return [*notes, *_diverged(picture)]


def _diverged(picture: Picture) -> list[str]:
    """Say which trials diverged, and when."""
    found = [f"{arm} ({in_words(steps)})" for arm, steps in picture.diverged.items()]
    return [f"Diverged: {'; '.join(found)}."] if found else []


def _baselines_in_words(picture: Picture) -> list[str]:
    means = [
        f"{picture.baseline_label(label)} ({picture.metric.format(estimate(values).mean)})"
        for label, values in picture.baselines().items()
    ]
    return [f"For comparison: {'; '.join(means)}."] if means else []
