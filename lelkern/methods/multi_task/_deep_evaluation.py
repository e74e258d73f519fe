"""What deep multi-task methods are judged by."""

import math
from collections.abc import Mapping

from torch import Tensor, nn

from lelkern.data import ImageTaskData
from lelkern.evaluate import extract
from lelkern.evaluate.checks import check_features
from lelkern.methods.method import Outcome
from lelkern.methods.metric import Curve, Metric, percentage

_NAMED = 3
"""How many tasks have a metric of their own; all are in the curve ``tasks``."""

METRICS: Mapping[str, Metric] = {
    "accuracy": percentage("mean accuracy"),
    **{f"accuracy_{t}": percentage(f"accuracy of task {t}") for t in range(1, _NAMED + 1)},
    "validation_accuracy": percentage("mean validation accuracy"),
    "parameters": Metric("parameters", digits=0),
}
"""What every deep multi-task method reports."""

_TASK = Metric("task", digits=0)

CURVES: Mapping[str, Curve] = {
    "tasks": Curve(_TASK, percentage("accuracy")),
    "weights": Curve(_TASK, Metric("weight of the task's loss", digits=2)),
}
"""Accuracies and final weights of all tasks by their numbers, from 1."""


def evaluate(
    network: nn.Module, data: ImageTaskData, weights: list[tuple[float, float]]
) -> Outcome:
    """Judge a network, which stays as it is.

    Args:
        network: images (N, 3, H, W), float in [0, 1], to the logits of all tasks side by side.
        data: with test images, and validation images if there are any.
        weights: the curve of that name.

    Returns:
        The metrics and curves, and the network. A task's accuracy is over the images that have its
        label, and left out where there are none; means are over the tasks that are left. NaN: the
        validation accuracy without validation images, and what is said of tasks that are not there.

    Raises:
        NotFiniteError: a logit is NaN or infinite.
    """
    tests = _accuracies(network, data, "test")
    metrics = dict.fromkeys(METRICS, math.nan) | {
        "accuracy": _mean(tests),
        "parameters": float(sum(p.numel() for p in network.parameters())),
    }
    metrics |= {f"accuracy_{t}": value for t, value in tests.items() if t <= _NAMED}
    if data.val_images is not None:
        metrics["validation_accuracy"] = _mean(_accuracies(network, data, "val"))
    tasks: list[tuple[float, float]] = list(tests.items())
    return Outcome(metrics, {"tasks": tasks, "weights": weights}, models={"model": network})


def _accuracies(network: nn.Module, data: ImageTaskData, split: str) -> dict[int, float]:
    """Return the accuracy of each task by its number, from 1, where a label is known."""
    sizes = [len(classes) for classes in data.task_classes]
    (logits,) = extract([network], getattr(data, f"{split}_images"))  # (N, sum of sizes)
    check_features("logits", logits)
    answers = [part.argmax(dim=1) for part in logits.split(sizes, dim=1)]
    pairs = zip(answers, data.task_labels(split).T, strict=True)
    return {
        task: _accuracy(answer, label)
        for task, (answer, label) in enumerate(pairs, start=1)
        if (label >= 0).any()
    }


def _accuracy(answer: Tensor, label: Tensor) -> float:
    known = label >= 0
    return float((answer == label)[known].double().mean())


def _mean(accuracies: Mapping[int, float]) -> float:
    return sum(accuracies.values()) / len(accuracies)
