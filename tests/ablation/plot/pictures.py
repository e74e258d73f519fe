"""Studies, made-up results and drawings for the tests of plots, and ways to read a drawing."""

from pathlib import Path

import numpy as np
from matplotlib.container import ErrorbarContainer

from lelkern.ablation.plot import Drawing
from lelkern.ablation.plot.picture import Picture
from lelkern.ablation.results import Results, Row
from lelkern.ablation.study import Study, load_study
from lelkern.methods import Curve, Metric, percentage

METRICS = {
    "linear_probe": percentage("linear probe"),
    "knn": percentage("k-NN"),
    "parameters": Metric("encoder parameters", digits=0),
    "bias": Metric("bias", unit="%", digits=1, signed=True),
}
CURVES = {
    "loss": Curve(Metric("steps", digits=0), Metric("training loss", better="lower")),
    "bought": Curve(Metric("labels bought", digits=0), percentage("accuracy")),
}


def three_seeds(name):
    """A study of three seeds, as it is kept for tests: shipped ones may change."""
    file = Path(__file__).parents[1] / "studies" / f"{name}.toml"
    return load_study(str(file)).model_copy(update={"seeds": 3})


LINE = three_seeds("temperature")
POINTS = three_seeds("projection-head")
HEATMAP = three_seeds("augmentation")
OVER_METRIC = three_seeds("model-size")
MOMENTUM = load_study("momentum").model_copy(update={"seeds": 3})


def study(*, plot, factors=(), arms=(), baselines=(), **fields):
    """Return a small study; its claim says nothing about the plot."""
    first = {"shape": "ordered", "says": "The last is best.", "along": "arm" if arms else None}
    if first["along"] is None:
        first["along"] = factors[0]["key"]
    return Study.parse(
        {
            "title": "Small",
            "method": "simclr",
            "metric": "linear_probe",
            "factor": factors,
            "arm": arms,
            "baseline": baselines,
            "claim": first,
            "plot": plot,
            **fields,
        },
        "small",
    )


BUDGETS = {"key": "data.labels", "label": "labels", "scale": "log", "values": [100, 10, 1000]}
ARMS = [{"label": "slow"}, {"label": "fast"}]
SEVERAL = study(arms=ARMS, factors=[BUDGETS], plot={"x": "data.labels", "lines": "arm"})
GRID = study(arms=ARMS, factors=[BUDGETS], plot={"kind": "heatmap"})
CURVE = study(arms=ARMS, plot={"x": "loss"})
METRICS_BESIDE = study(
    arms=ARMS,
    plot={
        "kind": "metrics",
        "names": ["first", "second"],
        "series": {"of one": ["linear_probe", "knn"], "of other": ["knn", "linear_probe"]},
    },
)
STUDIES = {
    "line": LINE,
    "points": POINTS,
    "heatmap": HEATMAP,
    "over metric": OVER_METRIC,
    "several lines": SEVERAL,
    "grid": GRID,
    "curve": CURVE,
    "metrics": METRICS_BESIDE,
}


def rows_of(study, seeds=3, without=(), low=0.6, high=0.9):
    """Made-up results: (arm, seed) or a whole arm can be left out."""
    arms = [arm.label for arm in study.arms()]
    means = np.random.default_rng(0).permutation(np.linspace(low, high, len(arms)))
    noise = np.random.default_rng(1).normal(0, 0.01, (len(arms), seeds))
    return [
        Row(
            arm,
            s,
            {
                study.metric: means[i] + noise[i, s],
                "linear_probe": means[i] + noise[i, s],
                "parameters": 1000.0 * 2**i,
            },
            {"loss": [(x, means[i] + noise[i, s] / x) for x in (1.0, 2.0, 4.0)]},
        )
        for i, arm in enumerate(arms)
        for s in range(seeds)
        if arm not in without and (arm, s) not in without
    ]


BASELINES = [
    Row("raw pixels", 0, {"linear_probe": 0.61}),
    *(Row("random encoder", s, {"linear_probe": 0.7 + s / 10}) for s in range(3)),
]


def values_of(rows, arm):
    return [100 * row.metrics["linear_probe"] for row in rows if row.arm == arm]


def changed(study, plot=None, **fields):
    """Return a study with fields of it, or of its plot, replaced."""
    if plot is not None:
        fields["plot"] = (study.plot[0].model_copy(update=plot),)
    return study.model_copy(update=fields)


def drawing(study, rows=None, baselines=(), says=(), small="", look=None, remarks=None):
    """Draw the first plot of a study; by default of three seeds an arm."""
    results = Results(rows_of(study) if rows is None else rows, baselines)
    picture = Picture(study, study.plot[0], results, METRICS, CURVES, remarks or {})
    return Drawing(picture, says, small, look)


def draw(study, rows=None, baselines=(), **text):
    """Draw the first plot of a study and return the figure."""
    return drawing(study, rows, baselines, **text).figure


def write(study, stem, rows=None, baselines=()):
    """Draw the first plot of a study into a PNG and an SVG file."""
    drawn = drawing(study, rows, baselines)
    files = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
    for path in files:
        drawn.write(path)
    return *files, drawn.lacking


def panels(figure):
    """Axes in the order drawn, colour bars included."""
    figure.canvas.draw()
    return figure.get_axes()


def intervals(axes):
    """Every error bar drawn: (x, low, high)."""
    return [
        (x0, low, high)
        for container in axes.containers
        if isinstance(container, ErrorbarContainer) and container.has_yerr
        for segment in container[2][0].get_segments()
        if len(segment)  # matplotlib drops the ends of a bar without width
        for (x0, low), (_, high) in [segment]
    ]


def means(axes):
    """Every mean drawn: x and y."""
    found = [np.column_stack(c[0].get_data()).astype(float) for c in axes.containers]
    points = np.concatenate(found)
    return points[np.isfinite(points).all(axis=1)]


def bands(axes):
    """Every band drawn: the (x, y) of its outline."""
    return [path.vertices for band in axes.collections for path in band.get_paths()]


def seed_dots(axes):
    small = [line for line in axes.lines if line.get_markersize() < 5 and line.get_marker() == "o"]
    return np.concatenate([np.column_stack(line.get_data()) for line in small])


def ticks(axes):
    return dict(zip(axes.get_xticks(), (t.get_text() for t in axes.get_xticklabels()), strict=True))


def cells(axes):
    """The text of every cell of a matrix, by row and column."""
    return {
        (round(y), round(x)): text.get_text()
        for text in axes.texts
        for x, y in [text.get_position()]
    }


def texts(figure):
    return [t.get_text() for part in figure.subfigs for t in part.texts]


def foot(figure):
    return texts(figure)[-2].replace("\N{NO-BREAK SPACE}", " ").replace("\n", " ")


def legend(figure):
    return [
        t.get_text() for part in figure.subfigs for key in part.legends for t in key.get_texts()
    ]
