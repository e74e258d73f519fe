"""Temporal ensembling: what is predicted for an image shall be what was predicted before.

Laine & Aila, "Temporal Ensembling for Semi-Supervised Learning", ICLR 2017, Section 2.2. The target
of an image is the average of its predictions in earlier epochs, under other augmentations and other
dropout: an ensemble of earlier networks, at the price of a Pi-model's half.
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
from lelkern.methods.semi_supervised._prediction_averages import PredictionAverages
from lelkern.methods.semi_supervised._ramp import sigmoid_ramp
from lelkern.methods.training import seeded
from lelkern.runtime import Progress, RuntimeConfig, silent


class TemporalEnsemblingConfig(SemiSupervisedConfig):
    """Everything that decides a run of temporal ensembling besides the data and the seed.

    Attributes:
        alpha: how much of an image's average stays when its next prediction is added.
        weight: the largest weight w of the consistency loss.
        ramp: share of all steps over which it rises as exp(-5 (1 - t)^2).
    """

    alpha: float = Field(default=0.6, ge=0, lt=1)
    weight: float = Field(default=3.0, ge=0)
    ramp: float = Field(default=0.3, ge=0, le=1)


def consistency(predictions: Tensor, targets: Tensor, known: Tensor) -> Tensor:
    """Return the mean squared difference over B and C, a scalar; 0 for images without a target.

    Args:
        predictions: softmaxes (B, C).
        targets: averages (B, C), without gradient.
        known: which images have one, (B, 1) bool.
    """
    return F.mse_loss(predictions, torch.where(known, targets, predictions.detach()))


def train(
    config: TemporalEnsemblingConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> Trained:
    r"""Learn a classifier by Algorithm 2 of Laine & Aila 2017.

    .. math:: L = \frac1N \sum_n -\log z_{n, y_n}
              + w(t) \, \frac{1}{C B} \sum_b \lVert z_b - \tilde z_b \rVert^2

    with the prediction z, a softmax, for an unlabelled image, and the average z~ of those of
    earlier epochs. In the first epoch there is none, and the second term is 0.

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
        device = next(learner.model.parameters()).device
        averages = PredictionAverages(learner.unlabelled, len(data.classes), config.alpha, device)
        for batch in learner.batches():
            images = learner.augment(torch.cat([batch.x, batch.u]))
            logits, logits_u = learner.model(images).split([len(batch.x), len(batch.u)])
            z = logits_u.softmax(dim=1)
            weight = config.weight * sigmoid_ramp(batch.done, config.ramp)
            unlabelled = consistency(z, *averages.targets(batch.ids))
            averages.update(batch.ids, z.detach())  # an image is in one batch of an epoch
            learner.step(F.cross_entropy(logits, batch.y) + weight * unlabelled)
    return learner.trained()


def run(
    config: TemporalEnsemblingConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Train on all training images, then evaluate."""
    return outcome(train(config, data, seed, runtime, progress), data)


METHOD = Method(
    config=TemporalEnsemblingConfig,
    data=ImageData,
    metrics=METRICS,
    run=run,
    check=check_unlabelled,
    build=build,
)
