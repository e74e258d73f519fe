"""Entropy minimisation: make up your mind about images without labels.

Grandvalet & Bengio, "Semi-supervised Learning by Entropy Minimization", NeurIPS 2004. If classes
do not overlap, the classes of unlabelled images are hardly in doubt; so the entropy of what is
predicted for them is part of the loss.
"""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lelkern.data import ImageData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.semi_supervised._config import SemiSupervisedConfig, check_unlabelled
from lelkern.methods.semi_supervised._evaluation import METRICS, outcome
from lelkern.methods.semi_supervised._learner import Learner, Trained, build
from lelkern.methods.semi_supervised._ramp import linear_ramp
from lelkern.methods.training import seeded
from lelkern.runtime import Progress, RuntimeConfig, silent


class EntropyMinimisationConfig(SemiSupervisedConfig):
    """Everything that decides a run of entropy minimisation besides the data and the seed.

    Attributes:
        weight: lambda, of the entropy in the loss.
        ramp: share of all steps over which the weight rises from 0 in a straight line.
    """

    weight: float = Field(default=0.3, ge=0)
    ramp: float = Field(default=0.5, ge=0, le=1)


def entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of the predictions softmax(z), in nats, a scalar.

    The gradient goes through both factors of p log p: dH / dz = -p (log p + H).

    Args:
        logits: z, (B, C).
    """
    log_p = logits.log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1).mean()


def train(
    config: EntropyMinimisationConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> Trained:
    r"""Learn a classifier from labelled images, and to be sure of unlabelled ones.

    .. math:: L = \frac1N \sum_n -\log p(y_n \mid x_n)
              + \lambda(t) \, \frac1B \sum_b H(p(\cdot \mid u_b))

    with the entropy H in nats. The paper maximises the negative of it, with sums for the means.

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
            images = learner.augment(torch.cat([batch.x, batch.u]))
            logits, logits_u = learner.model(images).split([len(batch.x), len(batch.u)])
            weight = config.weight * linear_ramp(batch.done, 0, config.ramp)
            learner.step(F.cross_entropy(logits, batch.y) + weight * entropy(logits_u))
    return learner.trained()


def run(
    config: EntropyMinimisationConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Train on all training images, then evaluate."""
    return outcome(train(config, data, seed, runtime, progress), data)


METHOD = Method(
    config=EntropyMinimisationConfig,
    data=ImageData,
    metrics=METRICS,
    run=run,
    check=check_unlabelled,
    build=build,
)
