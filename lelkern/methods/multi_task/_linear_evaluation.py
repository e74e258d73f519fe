"""What linear tasks are judged by: errors of prediction, and what is found of what was planted."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from lelkern.data import TaskData
from lelkern.methods.method import Outcome
from lelkern.methods.metric import Metric, percentage
from lelkern.methods.multi_task._layer import layer
from lelkern.methods.multi_task._linear import Fit, Learned

METRICS: Mapping[str, Metric] = {
    "explained_variance": percentage("explained variance"),
    "test_error": Metric("mean squared test error", better="lower"),
    "estimation_error": Metric("relative error of the coefficients", better="lower"),
    "rows": Metric("features in use", digits=0),
    "row_precision": percentage("features in use that are right"),
    "row_recall": percentage("right features that are in use"),
    "rank": Metric("effective rank of the coefficients", digits=1),
    "cluster_agreement": Metric("adjusted Rand index of the clusters", better="higher"),
    "strength": Metric("strength of the penalty, of the strongest", digits=4),
    "iterations": Metric("iterations at that strength", digits=0),
    "gap": Metric("duality gap, of the loss of zeros", better="lower", digits=6),
}
"""What every method for linear tasks reports: that of :func:`evaluate`."""


def evaluate(learned: Learned, data: TaskData) -> dict[str, float]:
    """Judge a linear model of tasks.

    The explained variance is that of the test samples of all tasks together, 1 - SSE / SST, about
    their common mean; papers on School call it so, or percentage of explained variance. Where the
    data have coefficients, W is compared with them: ||W - W*||_F / ||W*||_F, and the rows that are
    not all zero. Where they have clusters, the tasks are clustered by k-means on W.

    Args:
        learned: the model.
        data: with test samples.

    Returns:
        The metrics by name; NaN where the data have nothing to compare with.
    """
    fit = learned.fit
    w = fit.coefficients.numpy()
    used = (w != 0).any(axis=1)
    errors, every = _errors(fit, data), np.concatenate([task.test_y for task in data.tasks])
    total = float(((every - every.mean()) ** 2).sum())
    metrics = dict.fromkeys(METRICS, math.nan) | {
        "explained_variance": 1 - float((errors**2).sum()) / total if total > 0 else math.nan,
        "test_error": float((errors**2).mean()),
        "rows": float(used.sum()),
        "rank": effective_rank(w),
        "strength": learned.share,
        "iterations": float(fit.iterations),
        "gap": fit.gap,
    }
    truth = data.coefficients
    if truth is not None:
        right = (truth != 0).any(axis=1)
        both = float((used & right).sum())
        if right.any():
            metrics["estimation_error"] = float(np.linalg.norm(w - truth) / np.linalg.norm(truth))
        metrics["row_precision"] = both / used.sum() if used.any() else math.nan
        metrics["row_recall"] = both / right.sum() if right.any() else math.nan
    if data.clusters is not None:
        metrics["cluster_agreement"] = _agreement(w, data.clusters)
    return metrics


def outcome(learned: Learned, data: TaskData) -> Outcome:
    """Return the metrics of :func:`evaluate`, and the linear model of tasks as a layer."""
    return Outcome(evaluate(learned, data), models={"model": layer(learned.fit)})


def effective_rank(w: NDArray[np.float64]) -> float:
    r"""Return :math:`\exp H(p)`, p being the singular values over their sum, in nats; 0 of zeros.

    Source: Roy & Vetterli, "The Effective Rank: A Measure of Effective Dimensionality", EUSIPCO
        2007,
    Definition 1.
    """
    singular = torch.linalg.svdvals(torch.from_numpy(np.ascontiguousarray(w)))
    total = singular.sum()
    if total == 0:
        return 0.0
    return float(torch.special.entr(singular / total).sum().exp())


def _errors(fit: Fit, data: TaskData) -> NDArray[np.float64]:
    """Return the errors at the test samples of all tasks, one after the other."""
    w, b = fit.coefficients.numpy(), fit.intercepts.numpy()
    return np.concatenate(
        [task.test_y - task.test_x @ w[:, t] - b[t] for t, task in enumerate(data.tasks)]
    )


def _agreement(w: NDArray[np.float64], clusters: NDArray[np.int64]) -> float:
    """Return the adjusted Rand index of k-means on the columns of W, k being the true number."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    columns = np.unique(w, axis=1)
    number = min(len(np.unique(clusters)), columns.shape[1])  # tasks may all be the same
    found = KMeans(number, n_init=10, random_state=0).fit(np.ascontiguousarray(w.T))
    return float(adjusted_rand_score(clusters, found.labels_))
