"""Mean Teacher: predict what the average of your own weights predicts.

Tarvainen & Valpola, "Mean teachers are better role models: Weight-averaged consistency targets
improve semi-supervised deep learning results", NeurIPS 2017. The teacher is the moving average of
the student's weights. Both see an augmented view of their own, and lose inputs by dropout of their
own.
"""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lelkern.data import ImageData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.semi_supervised._config import SemiSupervisedConfig, check_unlabelled
from lelkern.methods.semi_supervised._evaluation import METRICS, outcome
from lelkern.methods.semi_supervised._frozen_statistics import frozen_statistics
from lelkern.methods.semi_supervised._learner import Learner, Trained, build
from lelkern.methods.semi_supervised._ramp import sigmoid_ramp
from lelkern.methods.training import seeded
from lelkern.runtime import Progress, RuntimeConfig, silent


class MeanTeacherConfig(SemiSupervisedConfig):
    """Everything that decides a run of Mean Teacher besides the data and the seed.

    ``ema`` is the paper's alpha: the average is the teacher.

    Attributes:
        weight: the largest weight of the consistency loss.
        ramp: share of all steps over which it rises as exp(-5 (1 - t)^2).
    """

    weight: float = Field(default=30.0, ge=0)
    ramp: float = Field(default=0.3, ge=0, le=1)


@torch.no_grad()
def teach(teacher: nn.Module, view: Tensor) -> Tensor:
    """Return the teacher's probabilities for a view, (B, C), without gradient.

    It is in training mode, as the student is: with dropout and the batch's own statistics.
    """
    with frozen_statistics(teacher):
        return teacher(view).softmax(dim=1)


def train(
    config: MeanTeacherConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> Trained:
    r"""Learn a classifier from labels, and from the average of its own weights.

    .. math:: L = \frac1N \sum_n -\log f(y_n \mid x_n; \theta) + w(t) \, \frac{1}{C B}
              \sum_b \lVert f(t(u_b); \theta) - f(t'(u_b); \theta') \rVert^2

    where theta' follows theta (equation 1) and f are softmaxes.

    Args:
        config: the recipe.
        data: with visible labels of at least two classes, and square images.
        seed: decides initial weights, batches and augmentations; torch's global generator is left
            as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the loss.

    Returns:
        The network and the average of its weights.

    Raises:
        ValueError: the images are not square, fewer than two classes have visible labels, or there
            are too few images for an unlabelled batch.
    """
    check_unlabelled(config, data)
    with seeded(seed):
        learner = Learner(config, data, runtime, progress)
        for batch in learner.batches():
            targets = teach(learner.average, learner.augment(batch.u))
            images = learner.augment(torch.cat([batch.x, batch.u]))
            logits, logits_u = learner.model(images).split([len(batch.x), len(batch.u)])
            consistency = F.mse_loss(logits_u.softmax(dim=1), targets)  # mean over B and C
            weight = config.weight * sigmoid_ramp(batch.done, config.ramp)
            learner.step(F.cross_entropy(logits, batch.y) + weight * consistency)
    return learner.trained()


def run(
    config: MeanTeacherConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Train on all training images, then evaluate."""
    return outcome(train(config, data, seed, runtime, progress), data)


METHOD = Method(
    config=MeanTeacherConfig,
    data=ImageData,
    metrics=METRICS,
    run=run,
    check=check_unlabelled,
    build=build,
)
