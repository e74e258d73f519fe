"""Pi-model: two views of an image, and two draws of dropout, shall give the same prediction.

Laine & Aila, "Temporal Ensembling for Semi-Supervised Learning", ICLR 2017, Section 2.1.
"""

import torch
import torch.nn.functional as F
from pydantic import Field

from lelkern.data import ImageData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.semi_supervised._config import SemiSupervisedConfig, check_unlabelled
from lelkern.methods.semi_supervised._evaluation import METRICS, outcome
from lelkern.methods.semi_supervised._learner import Learner, Trained, build
from lelkern.methods.semi_supervised._ramp import sigmoid_ramp
from lelkern.methods.training import seeded
from lelkern.runtime import Progress, RuntimeConfig, silent


class PiModelConfig(SemiSupervisedConfig):
    """Everything that decides a run of the Pi-model besides the data and the seed.

    Attributes:
        weight: the largest weight w of the consistency loss.
        ramp: share of all steps over which it rises as exp(-5 (1 - t)^2).
    """

    weight: float = Field(default=10.0, ge=0)
    ramp: float = Field(default=0.3, ge=0, le=1)


def train(
    config: PiModelConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> Trained:
    r"""Learn a classifier by Algorithm 1 of Laine & Aila 2017.

    .. math:: L = \frac1N \sum_n -\log z_{n, y_n}
              + w(t) \, \frac{1}{C B} \sum_b \lVert z_b - \tilde z_b \rVert^2

    with the predictions z and z~, softmaxes, for two views of each unlabelled image. The gradient
    goes through both.

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
            # One pass, and so one BatchNorm, for all: (N + 2B, 3, H, W).
            images = learner.augment(torch.cat([batch.x, batch.u, batch.u]))
            n, b = len(batch.x), len(batch.u)
            logits, view, other = learner.model(images).split([n, b, b])
            consistency = F.mse_loss(view.softmax(dim=1), other.softmax(dim=1))  # over B and C
            weight = config.weight * sigmoid_ramp(batch.done, config.ramp)
            learner.step(F.cross_entropy(logits, batch.y) + weight * consistency)
    return learner.trained()


def run(
    config: PiModelConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Train on all training images, then evaluate."""
    return outcome(train(config, data, seed, runtime, progress), data)


METHOD = Method(
    config=PiModelConfig,
    data=ImageData,
    metrics=METRICS,
    run=run,
    check=check_unlabelled,
    build=build,
)
