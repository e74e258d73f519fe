"""Nearest centroid: every class is the mean of its labelled samples."""

import torch
from torch import Tensor, nn

from lelkern.config import Config
from lelkern.data import TableData
from lelkern.methods import Blueprint, Method, Outcome, percentage
from lelkern.runtime import Progress, RuntimeConfig


class NearestCentroidConfig(Config):
    """Nothing but the data decides a run."""


class Centroids(nn.Module):
    """Negative distances from the mean of each class: samples (N, D) to logits (N, C)."""

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.zeros(classes, features, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Map samples (N, D), float64, to logits (N, C)."""
        return -torch.cdist(x, self.means)


def build(config: NearestCentroidConfig, blueprint: Blueprint) -> Centroids:
    """Make a model of the form of one that was trained."""
    (classes,), (features,) = blueprint.form.classes, blueprint.form.sample
    return Centroids(len(classes), features)


def run(
    config: NearestCentroidConfig,
    data: TableData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Take the means, and test."""
    x, y = torch.tensor(data.train_x), torch.tensor(data.train_y)
    model = Centroids(len(data.classes), x.shape[1])
    with torch.no_grad():
        for c in range(len(data.classes)):
            model.means[c] = x[y == c].mean(dim=0)
        logits = model(torch.tensor(data.test_x))
    right = logits.argmax(dim=1) == torch.tensor(data.test_y)
    return Outcome({"accuracy": float(right.double().mean())}, models={"model": model})


def check(config: NearestCentroidConfig, data: TableData) -> None:
    """Raise ValueError unless every class has a labelled sample."""
    visible = set(data.train_y[data.train_y >= 0].tolist()) if data.classes else set()
    if not data.classes or len(visible) < len(data.classes):
        raise ValueError(f"{data.name} must have visible labels of every class")


METHOD = Method(
    config=NearestCentroidConfig,
    data=TableData,
    metrics={"accuracy": percentage("accuracy")},
    run=run,
    check=check,
    build=build,
)
