"""Linear tasks that are drawn to their mean: one model for all, and a deviation for each.

Source: Evgeniou & Pontil, "Regularized Multi-Task Learning", KDD 2004, Section 2, with squared
errors.
"""

import torch
from pydantic import Field
from torch import Tensor

from lelkern.data import TaskData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.multi_task._layer import build
from lelkern.methods.multi_task._least_squares import LeastSquares
from lelkern.methods.multi_task._linear import LinearTasksConfig, check, equations, learn
from lelkern.methods.multi_task._linear_evaluation import METRICS, outcome
from lelkern.methods.multi_task._quadratic import towards_centres
from lelkern.runtime import Progress, RuntimeConfig


class MeanRegularisedConfig(LinearTasksConfig):
    """Everything that decides a run besides the data and the seed.

    Attributes:
        weakest: the weakest strength as a share of the strongest.
        centre: the penalty of the mean, as a share of that of the deviations.
    """

    weakest: float = Field(default=1e-6, gt=0, lt=1)
    centre: float = Field(default=1e-4, gt=0)


def run(
    config: MeanRegularisedConfig,
    data: TaskData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Learn the tasks, choosing the strength, and evaluate."""
    one = torch.zeros(len(data.tasks), dtype=torch.int64)

    def solve(problem: LeastSquares, strength: float) -> Tensor:
        return towards_centres(problem, strength, config.centre * strength, one)[0]

    # Many tasks pull at the mean: deviations vanish only where they are far stiffer than one task.
    learner = equations(solve, stiffness=1000)
    return outcome(learn(learner, config, data, seed, progress), data)


METHOD = Method(
    config=MeanRegularisedConfig, data=TaskData, metrics=METRICS, run=run, check=check, build=build
)
