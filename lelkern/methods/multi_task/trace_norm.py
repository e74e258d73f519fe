"""Linear tasks in a space of few dimensions: the trace norm of their coefficients.

Source: Argyriou, Evgeniou & Pontil, "Convex Multi-Task Feature Learning", Machine Learning 2008,
and Pong, Tseng, Ji & Ye, "Trace Norm Regularization: Reformulations, Algorithms, and Multi-Task
Learning", SIAM Journal on Optimization 2010.
"""

from lelkern.data import TaskData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.multi_task._layer import build
from lelkern.methods.multi_task._linear import IterativeConfig, check, learn, penalised
from lelkern.methods.multi_task._linear_evaluation import METRICS, outcome
from lelkern.methods.multi_task._penalties import TraceNorm
from lelkern.runtime import Progress, RuntimeConfig


class TraceNormConfig(IterativeConfig):
    """Everything that decides a run besides the data and the seed."""


def run(
    config: TraceNormConfig, data: TaskData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Learn the tasks, choosing the strength, and evaluate."""
    learner = penalised(TraceNorm(), config)
    return outcome(learn(learner, config, data, seed, progress), data)


METHOD = Method(
    config=TraceNormConfig, data=TaskData, metrics=METRICS, run=run, check=check, build=build
)
