"""What several tasks, labels, classes and views share: ten samples of three features each way."""

import numpy as np

from lelkern.data import Task, TaskData

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(10, 3))
SCORES = X @ GENERATOR.normal(size=(3, 2))


def multi_task() -> TaskData:
    """Return two tasks with samples of their own, of the same features."""
    other = GENERATOR.normal(size=(10, 3))
    return TaskData.from_arrays(
        "multi-task", [X, other], [SCORES[:, 0], other[:, 1]], test_fraction=0.4, seed=0
    )


def multi_label() -> TaskData:
    """Return two labels, each of which every sample has or has not."""
    labels = (SCORES > 0).astype(float)
    return TaskData.from_arrays("multi-label", X, list(labels.T), test_fraction=0.4, seed=0)


def multi_class() -> TaskData:
    """Return three classes, of which every sample has exactly one: the largest score, or none."""
    scores = np.column_stack([SCORES, np.zeros(10)])
    classes = (scores == scores.max(axis=1, keepdims=True)).astype(float)
    return TaskData.from_arrays("multi-class", X, list(classes.T), test_fraction=0.4, seed=0)


def multi_view() -> TaskData:
    """Return two views of the same samples, one label for both, and no feature in common."""
    y = SCORES[:, 0]
    views = {"first": X[:, :1], "second": X[:, 1:]}
    tasks = [Task(name, x[:6], y[:6], x[6:], y[6:]) for name, x in views.items()]
    return TaskData("multi-view", tuple(tasks), features=None)
