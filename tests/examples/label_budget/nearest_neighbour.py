"""Nearest neighbour: a sample belongs to the class of the labelled sample next to it."""

from sklearn.metrics import recall_score
from sklearn.neighbors import KNeighborsClassifier

from lelkern.config import Config
from lelkern.data import TableData
from lelkern.methods import Curve, Method, Metric, Outcome, percentage
from lelkern.runtime import Progress, RuntimeConfig


class NearestNeighbourConfig(Config):
    """What the classifier can be told.

    Attributes:
        neighbours: that vote.
    """

    neighbours: int = 1


def run(
    config: NearestNeighbourConfig,
    data: TableData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Fit to ever more of the labelled samples, and test each time."""
    labelled = data.train_y >= 0
    x, y = data.train_x[labelled], data.train_y[labelled]
    curve = []
    for n in sorted({len(y) // 4, len(y) // 2, len(y)}):
        model = KNeighborsClassifier(config.neighbours).fit(x[:n], y[:n])
        curve.append((float(n), float(model.score(data.test_x, data.test_y))))
        progress(n, 1 - model.score(x[:n], y[:n]))
    recall = recall_score(data.test_y, model.predict(data.test_x), average=None)
    return Outcome(
        {"accuracy": curve[-1][1], "worst_recall": float(recall.min())},
        {"labels": curve},
    )


METHOD = Method(
    config=NearestNeighbourConfig,
    data=TableData,
    metrics={"accuracy": percentage("accuracy"), "worst_recall": percentage("worst recall")},
    curves={"labels": Curve(Metric("labelled samples", digits=0), percentage("accuracy"))},
    run=run,
)
