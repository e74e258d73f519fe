"""Linear tasks in clusters: k-means over the tasks and their regression, in turns.

Each task is drawn to the centre of its cluster. Given the clusters, tasks and centres solve linear
equations; given these, a task belongs to the nearest centre. Neither raises the objective

    L(W) + s/2 sum_t ||w_t - m_k(t)||^2 + c s/2 sum_k ||m_k||^2,

which is that of mean regularisation (Evgeniou & Pontil, "Regularized Multi-Task Learning", KDD
2004) within each cluster, and what Zhou, Chen & Ye (NeurIPS 2011) relax. It ends in a local
minimum.
"""

from collections.abc import Iterator, Sequence

import torch
from pydantic import Field
from torch import Tensor

from lelkern.data import TaskData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.multi_task._layer import build
from lelkern.methods.multi_task._least_squares import LeastSquares
from lelkern.methods.multi_task._linear import (
    Fit,
    Learner,
    LinearTasksConfig,
    Samples,
    check,
    equations,
    learn,
)
from lelkern.methods.multi_task._linear_evaluation import METRICS, outcome
from lelkern.methods.multi_task._quadratic import ridge, towards_centres
from lelkern.runtime import Progress, RuntimeConfig


class TaskKMeansConfig(LinearTasksConfig):
    """Everything that decides a run besides the data and the seed.

    Attributes:
        clusters: k; no more than there are tasks.
        rounds: most turns for each strength.
        weakest: the weakest strength as a share of the strongest.
        centre: c, the penalty of the centres, as a share of that of the deviations.
    """

    clusters: int = Field(default=3, ge=1)
    rounds: int = Field(default=20, ge=1)
    weakest: float = Field(default=1e-6, gt=0, lt=1)
    centre: float = Field(default=1e-4, gt=0)


def alternate(
    problem: LeastSquares, strength: float, config: TaskKMeansConfig, clusters: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield W (D, T), the centres (D, K) and the clusters (T,) of every turn, until none changes.

    Args:
        problem: L.
        strength: s.
        config: the rest.
        clusters: (T,) int64 to begin with, from 0; one that loses all tasks is given up.
    """
    for _ in range(config.rounds):
        w, centres = towards_centres(problem, strength, config.centre * strength, clusters)
        yield w, centres, clusters
        nearest = torch.cdist(w.T, centres.T).argmin(dim=1)
        if torch.equal(nearest, clusters):
            return
        clusters = nearest.unique(return_inverse=True)[1]


def first_clusters(w: Tensor, number: int, seed: int) -> Tensor:
    """Return the clusters (T,) of k-means over the columns of W (D, T), drawn with the seed."""
    from sklearn.cluster import KMeans

    different = len(w.T.unique(dim=0))
    found = KMeans(min(number, different), n_init=10, random_state=seed).fit(w.T.numpy())
    return torch.from_numpy(found.labels_).long().unique(return_inverse=True)[1]


def run(
    config: TaskKMeansConfig,
    data: TaskData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Learn the tasks, choosing the strength, and evaluate."""

    def fits(samples: Samples, along: Sequence[float]) -> Iterator[Fit]:
        problem = samples.loss()
        for strength in along:
            # A path has no use for the clusters before: each strength begins with tasks on their
            # own.
            clusters = first_clusters(ridge(problem, strength), config.clusters, seed)
            turns = list(alternate(problem, strength, config, clusters))
            w = turns[-1][0]
            yield Fit(w, problem.intercepts(w), iterations=len(turns))

    learner = Learner(equations(ridge, stiffness=1000).strongest, fits)
    return outcome(learn(learner, config, data, seed, progress), data)


METHOD = Method(
    config=TaskKMeansConfig, data=TaskData, metrics=METRICS, run=run, check=check, build=build
)
