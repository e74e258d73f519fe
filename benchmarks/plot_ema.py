"""The times of moving averages as bars, one panel for each model and pair of dtypes."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import results
from lelkern.ablation.plot.style import BLUE, SKY

PANELS = (
    ("ema resnet50", "float32", "ResNet-50, float32"),
    ("ema resnet50", "float32-of-bfloat16", "ResNet-50, float32 of bfloat16"),
    ("ema resnet50", "bfloat16", "ResNet-50, bfloat16"),
    ("ema small", "float32", "160 tensors of 64, float32"),
)
LABELS = {
    "lelkern": "lelkern.ema_update_",
    "lelkern-stochastic": "lelkern, stochastic rounding",
    "pytorch-foreach": "torch._foreach_*",
    "pytorch-loop": "loop: mul_, add_",
    "AveragedModel": "torch AveragedModel",
    "timm": "timm ModelEmaV3",
    "bytes": "limit: the bytes alone",
}


def draw(rows: Sequence[results.Row]) -> Figure:
    """Draw the rows of averages that belong together: the machine and threads with most of them."""
    setup, rows = results.setup(rows)
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (op, dtype, title) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        _panel(axes, [r for r in rows if (r.op, r.dtype) == (op, dtype)])
        axes.set_title(title, fontsize=10)
    figure.suptitle(f"One update of a moving average: {setup}", fontsize=11, weight="bold")
    return figure


def _panel(axes: Axes, rows: Sequence[results.Row]) -> None:
    rows = sorted(rows, key=lambda r: r.p50, reverse=True)
    unit, scale = ("ms", 1e3) if rows and rows[0].p50 > 5e-3 else ("µs", 1e6)
    names = [LABELS.get(r.provider, r.provider) for r in rows]
    colors = [
        "0.7" if r.provider == "bytes" else BLUE if r.provider.startswith("lelkern") else SKY
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
    axes.set_xlabel(unit)
    axes.margins(x=0.12)
