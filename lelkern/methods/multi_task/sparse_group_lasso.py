"""Linear tasks that use the same features, but not each of them all: the sparse group lasso.

Source: Simon, Friedman, Hastie & Tibshirani, "A Sparse-Group Lasso", Journal of Computational and
Graphical Statistics 2013.
"""

from pydantic import Field

from lelkern.data import TaskData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.multi_task._layer import build
from lelkern.methods.multi_task._linear import IterativeConfig, check, learn, penalised
from lelkern.methods.multi_task._linear_evaluation import METRICS, outcome
from lelkern.methods.multi_task._penalties import SparseGroup
from lelkern.runtime import Progress, RuntimeConfig


class SparseGroupLassoConfig(IterativeConfig):
    """Everything that decides a run besides the data and the seed.

    Attributes:
        l1_ratio: how much of the penalty is on entries; the rest is on rows.
    """

    l1_ratio: float = Field(default=0.5, gt=0, lt=1)


def run(
    config: SparseGroupLassoConfig,
    data: TaskData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Learn the tasks, choosing the strength, and evaluate."""
    learner = penalised(SparseGroup(config.l1_ratio), config)
    return outcome(learn(learner, config, data, seed, progress), data)


METHOD = Method(
    config=SparseGroupLassoConfig, data=TaskData, metrics=METRICS, run=run, check=check, build=build
)
