"""Linear tasks that use the same features: the l1/lq norm; with q = 1 a lasso for each task.

Source: Obozinski, Taskar & Jordan, "Joint Covariate Selection and Joint Subspace Selection for
Multiple Classification Problems", Statistics and Computing 2010 (q = 2); Negahban & Wainwright,
"Simultaneous Support Recovery in High Dimensions: Benefits and Perils of Block
l1/l-infinity-Regularization", IEEE Transactions on Information Theory 2011 (q = infinity).
"""

from lelkern.data import TaskData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.multi_task._layer import build
from lelkern.methods.multi_task._linear import IterativeConfig, check, learn, penalised
from lelkern.methods.multi_task._linear_evaluation import METRICS, outcome
from lelkern.methods.multi_task._penalties import RowNorm
from lelkern.methods.multi_task._q import Q, number
from lelkern.runtime import Progress, RuntimeConfig


class JointSparseConfig(IterativeConfig):
    """Everything that decides a run besides the data and the seed.

    Attributes:
        q: of the norm of a feature's coefficients over tasks, at least 1; ``inf`` for the largest.
    """

    q: Q = 2.0


def run(
    config: JointSparseConfig, data: TaskData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Learn the tasks, choosing the strength, and evaluate."""
    learner = penalised(RowNorm(number(config.q)), config)
    return outcome(learn(learner, config, data, seed, progress), data)


METHOD = Method(
    config=JointSparseConfig, data=TaskData, metrics=METRICS, run=run, check=check, build=build
)
