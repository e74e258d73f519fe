"""Linear regression tasks that are drawn with something in common: rows, a rank or clusters.

All are y = X w_t + noise, where the entries of X, a matrix for each task, are standard normal.
``samples_per_task`` takes as many training samples of each task as wanted.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from lelkern.data.draw import stream
from lelkern.data.registry import register
from lelkern.data.task_data import Task, TaskData

VERSION = 1
"""Raised whenever the same options would give other tasks, so that caches notice."""

TRAINING, TEST = 240, 200
"""Samples of each task."""


@register(
    "planted-rows",
    TaskData,
    summary="2 linear tasks that each use 12 of 128 features, some of them the same",
    version=VERSION,
)
def planted_rows(seed: int, noise: float | None, overlap: float | None) -> TaskData:
    """Return two tasks with entries of 1 and -1 in the rows that they use.

    The problem of Negahban & Wainwright, "Simultaneous Support Recovery in High Dimensions:
    Benefits and Perils of Block l1/l-infinity-Regularization", IEEE Transactions on Information
    Theory 57(6), 2011.

    Args:
        seed: decides everything.
        noise: standard deviation; 0.1 by default.
        overlap: share of the 12 features of a task that the other uses as well, rounded to whole
            features; 1 by default.
    """
    features, used = 128, 12
    common = round((1.0 if overlap is None else overlap) * used)
    generator = stream("planted rows", seed)
    order = torch.randperm(features, generator=generator)
    # The second task starts where the features that it shares with the first do.
    rows = (order[:used], order[used - common : 2 * used - common])
    coefficients = torch.zeros(features, len(rows), dtype=torch.float64)
    for task, own in enumerate(rows):
        coefficients[own, task] = 2 * torch.randint(2, (used,), generator=generator).double() - 1
    return _tasks("planted-rows", coefficients, 0.1 if noise is None else noise, seed)


@register(
    "planted-rank",
    TaskData,
    summary="20 linear tasks on 40 features, whose coefficients have rank 3",
    version=VERSION,
)
def planted_rank(seed: int, noise: float | None) -> TaskData:
    """Return tasks whose coefficients are a product of normal matrices (40, 3) and (3, 20).

    They are scaled so that X w_t has variance 1 on average.

    Args:
        seed: decides everything.
        noise: standard deviation; 0.5 by default.
    """
    features, tasks, rank = 40, 20, 3
    draw = _normal(stream("planted rank", seed))
    coefficients = draw(features, rank) @ draw(rank, tasks) / (rank * features) ** 0.5
    return _tasks("planted-rank", coefficients, 0.5 if noise is None else noise, seed)


@register(
    "planted-clusters",
    TaskData,
    summary="24 linear tasks on 20 features in 3 clusters",
    version=VERSION,
)
def planted_clusters(seed: int, noise: float | None) -> TaskData:
    """Return tasks that lie around three normal centres, eight around each.

    A task's coefficients are its centre plus a normal deviation with a tenth of the variance,
    scaled so that X w_t has variance 1 on average.

    Args:
        seed: decides everything.
        noise: standard deviation; 0.5 by default.
    """
    features, tasks, number, share = 20, 24, 3, 0.1
    generator = stream("planted clusters", seed)
    draw = _normal(generator)
    clusters = torch.arange(tasks)[torch.randperm(tasks, generator=generator)] % number
    centres, deviations = draw(features, number), draw(features, tasks)
    coefficients = (1 - share) ** 0.5 * centres[:, clusters] + share**0.5 * deviations
    coefficients /= features**0.5
    noise = 0.5 if noise is None else noise
    return _tasks("planted-clusters", coefficients, noise, seed, clusters)


def _normal(generator: torch.Generator) -> Callable[..., Tensor]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    return draw


def _tasks(
    name: str, coefficients: Tensor, noise: float, seed: int, clusters: Tensor | None = None
) -> TaskData:
    """Draw the samples of linear tasks with the given coefficients (D, T)."""
    # Apart, so that the same samples come with less noise or with other coefficients.
    design = _normal(stream(f"{name}: design", seed))
    error = _normal(stream(f"{name}: noise", seed))
    tasks = []
    for number, own in enumerate(coefficients.T, start=1):
        x = design(TRAINING + TEST, len(own))
        y = x @ own + noise * error(TRAINING + TEST)
        parts = (part.numpy() for part in (x[:TRAINING], y[:TRAINING], x[TRAINING:], y[TRAINING:]))
        tasks.append(Task(str(number), *parts))
    return TaskData(
        name,
        tuple(tasks),
        tuple(f"x{i + 1}" for i in range(len(coefficients))),
        coefficients.numpy(),
        None if clusters is None else clusters.numpy(),
    )
