"""Logistic regression on the labelled samples of a table, from few of them to all."""

import numpy as np
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lelkern.config import Config
from lelkern.data import TableData
from lelkern.methods import Curve, Method, Metric, Outcome, percentage
from lelkern.runtime import Progress, RuntimeConfig


class LogisticConfig(Config):
    """Everything that decides a run besides the table and the seed.

    Attributes:
        C: inverse strength of the L2 penalty.
        fits: how many points the learning curve has at most.
    """

    C: float = Field(default=1.0, gt=0)
    fits: int = Field(default=5, ge=1)


def run(
    config: LogisticConfig, data: TableData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Fit to ever more of the labelled samples, and test every fit."""
    labelled = np.flatnonzero(data.train_y >= 0)  # -1 is a hidden label
    order = np.random.default_rng(seed).permutation(labelled)
    curve = []
    for step, part in enumerate(np.linspace(0, len(order), config.fits + 1)[1:].round(), start=1):
        used = order[: int(part)]
        if len(set(data.train_y[used])) > 1:  # a classifier needs two classes
            model = make_pipeline(StandardScaler(), LogisticRegression(C=config.C))
            model.fit(data.train_x[used], data.train_y[used])
            accuracy = model.score(data.test_x, data.test_y)
            curve.append((len(used), accuracy))
            progress(step, 1 - model.score(data.train_x[used], data.train_y[used]))
    confidence = model.predict_proba(data.test_x).max(axis=1).mean()
    return Outcome({"accuracy": accuracy, "confidence": confidence}, {"labels": curve})


def check(config: LogisticConfig, data: TableData) -> None:
    """Raise ValueError unless the table has classes, and two of them are visible."""
    if not data.classes or len(set(data.train_y[data.train_y >= 0])) < 2:
        raise ValueError(f"{data.name} must have visible labels of at least 2 classes")


METHOD = Method(
    config=LogisticConfig,
    data=TableData,
    metrics={"accuracy": percentage("accuracy"), "confidence": Metric("confidence", unit="%")},
    run=run,
    curves={"labels": Curve(Metric("labels", digits=0), percentage("accuracy"))},
    check=check,
)
