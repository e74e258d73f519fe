"""Linear tasks in clusters, relaxed to a convex problem: the squared spectral box norm.

Source: Jacob, Bach & Vert, "Clustered Multi-Task Learning: A Convex Formulation", NeurIPS 2008, and
Zhou, Chen & Ye, "Clustered Multi-Task Learning via Alternating Structure Optimization", NeurIPS
2011, Equation 11, of which the matrix M is eliminated.
"""

from pydantic import Field

from lelkern.data import TaskData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.multi_task._layer import build
from lelkern.methods.multi_task._linear import IterativeConfig, check, learn, penalised
from lelkern.methods.multi_task._linear_evaluation import METRICS, outcome
from lelkern.methods.multi_task._penalties import SpectralBox
from lelkern.runtime import Progress, RuntimeConfig


class ClusteredConfig(IterativeConfig):
    """Everything that decides a run besides the data and the seed.

    Attributes:
        clusters: k, of which as many directions of W are spared.
        eta: the smaller, the more these directions are spared.
        weakest: the weakest strength as a share of the strongest.
    """

    clusters: int = Field(default=1, ge=1)
    eta: float = Field(default=0.1, gt=0)
    weakest: float = Field(default=1e-4, gt=0, lt=1)


def run(
    config: ClusteredConfig, data: TaskData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Learn the tasks, choosing the strength, and evaluate."""
    penalty = SpectralBox(min(config.clusters, len(data.tasks)), config.eta)
    learner = penalised(penalty, config)
    return outcome(learn(learner, config, data, seed, progress), data)


METHOD = Method(
    config=ClusteredConfig, data=TaskData, metrics=METRICS, run=run, check=check, build=build
)
