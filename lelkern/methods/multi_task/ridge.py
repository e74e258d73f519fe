"""Linear tasks on their own: a ridge regression for each, with one strength for all."""

from pydantic import Field

from lelkern.data import TaskData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.multi_task._layer import build
from lelkern.methods.multi_task._linear import LinearTasksConfig, check, equations, learn
from lelkern.methods.multi_task._linear_evaluation import METRICS, outcome
from lelkern.methods.multi_task._quadratic import ridge
from lelkern.runtime import Progress, RuntimeConfig


class RidgeConfig(LinearTasksConfig):
    """Everything that decides a run besides the data and the seed.

    Attributes:
        weakest: the weakest strength as a share of the strongest.
    """

    weakest: float = Field(default=1e-5, gt=0, lt=1)


def run(
    config: RidgeConfig, data: TaskData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Learn the tasks, choosing the strength, and evaluate."""
    learner = equations(ridge)
    return outcome(learn(learner, config, data, seed, progress), data)


METHOD = Method(
    config=RidgeConfig, data=TaskData, metrics=METRICS, run=run, check=check, build=build
)
