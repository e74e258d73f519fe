"""Times as bars, a panel for each thing that is compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import results
from lelkern.ablation.plot.style import BLUE, SKY

COLUMNS = 2


@dataclass(frozen=True)
class Panel:
    """What is compared in one panel: the rows of an op and dtype.

    And of a size and a mode, if these are given.
    """

    op: str
    title: str
    dtype: str = "float32"
    size: int | None = None
    mode: str | None = None

    def has(self, row: results.Row) -> bool:
        at = self.size is None or row.size == self.size
        at = at and (self.mode is None or row.mode == self.mode)
        return at and (row.op, row.dtype, row.metric) == (self.op, self.dtype, "seconds")


def draw(
    rows: Sequence[results.Row], title: str, panels: Sequence[Panel], labels: Mapping[str, str]
) -> Figure:
    """Draw the rows that belong together: the machine and threads with most of them.

    Args:
        rows: of any machines.
        title: what is timed.
        panels: those without a row are left out.
        labels: by provider; one that has none is called by its name.
    """
    setup, rows = results.setup(rows)
    shown = [panel for panel in panels if any(map(panel.has, rows))]
    if not shown:
        raise SystemExit(f"no rows of {', '.join(panel.op for panel in panels)} on {setup}")
    lines = -(-len(shown) // COLUMNS)
    figure = Figure(figsize=(10, 2.8 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(lines, COLUMNS, squeeze=False).flat
    for axes, panel in zip(places, shown, strict=False):
        _bars(axes, [row for row in rows if panel.has(row)], labels)
        axes.set_title(panel.title, fontsize=10)
    for axes in figure.axes[len(shown) :]:
        axes.remove()
    figure.suptitle(f"{title}: {setup}", fontsize=11, weight="bold")
    return figure


def _bars(axes: Axes, rows: Sequence[results.Row], labels: Mapping[str, str]) -> None:
    rows = sorted(rows, key=lambda r: r.p50, reverse=True)
    unit, scale = ("ms", 1e3) if rows[0].p50 > 5e-3 else ("µs", 1e6)
    names = [labels.get(r.provider, r.provider) for r in rows]
    colors = [
        "0.7" if r.provider.startswith("bytes") else BLUE if "lelkern" in r.provider else SKY
        for r in rows
    ]
    values = [scale * r.p50 for r in rows]
    spread = [
        [scale * (r.p50 - r.p20) for r in rows],
        [scale * (r.p80 - r.p50) for r in rows],
    ]
    bars = axes.barh(names, values, xerr=spread, color=colors, error_kw={"ecolor": "0.4"})
    texts = [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values]
    axes.bar_label(bars, labels=texts, padding=4, fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_xlabel(unit)
    axes.margins(x=0.12)
