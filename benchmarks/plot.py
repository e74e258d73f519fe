"""Draw docs/performance.*, ema.*, mixup.*, prox.* and those of a GPU (PNG and SVG) from CSV files.

    python benchmarks/plot.py [folder]

reads contrastive.csv, ema.csv, mixup.csv and prox.csv, of benchmarks/results by default.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

import bars
import plot_ema
import plot_mixup
import plot_prox
import results
from cases import BOTH
from lelkern.ablation.plot.look import Look
from lelkern.ablation.plot.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, style_for
from lelkern.files import write_atomically

DOCS = Path(__file__).parent.parent / "docs"
STYLE: Sequence[str | dict[str, Any]] = ["default", style_for(Look())]
# Without dates and versions the same file gives the same picture.
METADATA = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}


@dataclass(frozen=True)
class Line:
    """How one provider is drawn, in the order of the legend."""

    provider: str
    dtype: str
    label: str
    color: str
    marker: str
    dash: str = "-"


LINES = (
    Line("pytorch-metric-learning", "float32", "pytorch-metric-learning", SKY, "*"),
    Line("lightly", "float32", "lightly", PURPLE, "v"),
    Line("pytorch", "float32", "plain PyTorch", VERMILION, "s"),
    Line("torch.compile", "float32", "torch.compile", ORANGE, "^"),
    Line("mkl-tiles", "float32", "tiles of torch.mm", GREEN, "D"),
    Line("lelkern", "float32", "lelkern", BLUE, "o"),
    Line("lelkern", "bfloat16", "lelkern, bfloat16", BLUE, "o", "--"),
    Line("sgemm", "float32", "limit: the products alone", "0.45", "", ":"),
)


def draw(rows: Sequence[results.Row]) -> Figure:
    """Draw the rows of NT-Xent of the machine and threads with most rows of all."""
    setup, rows = results.setup(rows)
    rows = [r for r in rows if (r.op, r.mode) == ("nt_xent", BOTH)]
    if not rows:
        raise SystemExit(f"no rows of nt_xent, forward+backward, on {setup}")
    with style.context(STYLE):
        figure = Figure(figsize=(10, 4.9), layout="constrained")
        FigureCanvasAgg(figure)
        time, memory = figure.subplots(1, 2)
        _panel(time, rows, "seconds", "time of forward and backward (s)", _seconds)
        _panel(memory, rows, "bytes", "peak memory beyond the inputs (bytes)", _bytes)
        features = ", ".join(str(n) for n in sorted({r.features for r in rows}))
        figure.suptitle(f"NT-Xent, D = {features}: {setup}", fontsize=11, weight="bold")
        handles, labels = time.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _panel(axes: Axes, rows: Sequence[results.Row], metric: str, label: str, text: Any) -> None:
    for line in LINES:
        points = sorted(
            (r.size, r.p50, r.p20, r.p80)
            for r in rows
            if (r.provider, r.dtype, r.metric) == (line.provider, line.dtype, metric)
        )
        if not points:
            continue
        x, y, low, high = zip(*points, strict=True)
        axes.plot(x, y, color=line.color, marker=line.marker, linestyle=line.dash, label=line.label)
        axes.fill_between(x, low, high, color=line.color, alpha=0.15, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    sizes = sorted({r.size for r in rows if r.metric == metric})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(text))
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    axes.set_xlabel("rows, 2N")
    axes.set_ylabel(label)


def _seconds(value: float, _: object) -> str:
    return f"{value:g} s" if value >= 1 else f"{value * 1e3:g} ms"


def _bytes(value: float, _: object) -> str:
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else results.FOLDER
    with style.context(STYLE):
        for name, file, draw_rows in (
            ("performance", "contrastive.csv", draw),
            ("ema", "ema.csv", _bars(plot_ema)),
            ("mixup", "mixup.csv", _bars(plot_mixup)),
            ("prox", "prox.csv", _bars(plot_prox)),
        ):
            rows = results.read(folder / file)
            for stem, of_device in (
                (name, [r for r in rows if r.threads]),
                (f"{name}-gpu", [r for r in rows if not r.threads]),
            ):
                if of_device:
                    _save(draw_rows(of_device), DOCS / stem)


def _bars(of: ModuleType) -> Callable[[Sequence[results.Row]], Figure]:
    return partial(bars.draw, title=of.TITLE, panels=of.PANELS, labels=of.LABELS)


def _save(figure: Figure, stem: Path) -> None:
    for suffix, metadata in METADATA.items():

        def save(path: Path, metadata: dict[str, None] = metadata) -> None:
            figure.savefig(path, format=path.suffix[1:], metadata=metadata)

        write_atomically(stem.with_suffix(suffix), save)


if __name__ == "__main__":
    main()
