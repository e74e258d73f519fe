"""One ridge regression for the samples of all tasks together, which it does not tell apart."""

from collections.abc import Iterator, Sequence

import torch
from pydantic import Field

from lelkern.data import TaskData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.multi_task._layer import build
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
from lelkern.methods.multi_task._quadratic import ridge
from lelkern.runtime import Progress, RuntimeConfig


class PooledRidgeConfig(LinearTasksConfig):
    """Everything that decides a run besides the data and the seed.

    Attributes:
        weakest: the weakest strength as a share of the strongest.
    """

    weakest: float = Field(default=1e-5, gt=0, lt=1)


def pooled(samples: Samples) -> Samples:
    """Return the samples of all tasks as those of one."""
    return Samples([torch.cat(samples.x)], [torch.cat(samples.y)], True)


def run(
    config: PooledRidgeConfig,
    data: TaskData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Learn one model, choosing the strength, and evaluate it on every task."""
    single = equations(ridge)

    def fits(samples: Samples, along: Sequence[float]) -> Iterator[Fit]:
        for fit in single.fits(pooled(samples), along):
            tasks = len(samples.y)
            yield Fit(fit.coefficients.expand(-1, tasks), fit.intercepts.expand(tasks))

    learner = Learner(lambda samples: single.strongest(pooled(samples)), fits)
    return outcome(learn(learner, config, data, seed, progress), data)


METHOD = Method(
    config=PooledRidgeConfig, data=TaskData, metrics=METRICS, run=run, check=check, build=build
)
