"""Pseudo-labels: the class that the network finds most likely is taken for the true one.

Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural
Networks", ICML 2013 Workshop on Challenges in Representation Learning. At every step every image of
the unlabelled batch gets its label anew from the network as it is then. The weight of these images
rises from 0, so that the network has learned something before it becomes its own teacher. With
``threshold`` only labels of which it is confident count; the paper takes all.

In stages, with labels that stay once they are given: ``self_training.py``.
"""

from functools import partial
from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from lelkern.data import ImageData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.semi_supervised._config import SemiSupervisedConfig, check_unlabelled
from lelkern.methods.semi_supervised._evaluation import METRICS, Labeller, outcome, predict
from lelkern.methods.semi_supervised._learner import Learner, Trained, build
from lelkern.methods.semi_supervised._ramp import linear_ramp
from lelkern.methods.training import seeded
from lelkern.runtime import Progress, RuntimeConfig, silent


class PseudoLabelConfig(SemiSupervisedConfig):
    """Everything that decides a run with pseudo-labels besides the data and the seed.

    Attributes:
        threshold: confidence from which on a pseudo-label counts; 0 takes all.
        weight: the weight alpha of pseudo-labelled images at the end of the ramp.
        ramp_start: T1, as a share of all steps, up to which alpha is 0.
        ramp_end: T2, as a share of all steps, from which on alpha is ``weight``.
    """

    threshold: float = Field(default=0.0, ge=0, le=1)
    weight: float = Field(default=1.0, ge=0)
    ramp_start: float = Field(default=0.1, ge=0, le=1)
    ramp_end: float = Field(default=0.6, ge=0, le=1)

    @model_validator(mode="after")
    def _the_ramp_rises(self) -> Self:
        if self.ramp_start > self.ramp_end:
            raise ValueError(
                f"ramp_start must be at most ramp_end, {self.ramp_end}, got {self.ramp_start}"
            )
        return self


def pseudo_label_loss(logits: Tensor, threshold: float) -> Tensor:
    """Return the cross-entropy of predictions with their own most likely classes, a scalar.

    The labels have no gradient. Images whose label is not accepted count as 0 in the mean over all.

    Args:
        logits: (B, C).
        threshold: confidence from which on a label is accepted.
    """
    confidence, labels = logits.detach().softmax(dim=1).max(dim=1)
    loss = F.cross_entropy(logits, labels, reduction="none")
    return (loss * (confidence >= threshold)).mean()


def train(
    config: PseudoLabelConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> Trained:
    r"""Learn a classifier from labels, and from those that it gives itself (equation 15).

    .. math:: L = \frac1N \sum_n -\log f(y_n \mid x_n) + \alpha(t) \, \frac1B \sum_b
              -\log f(y'_b \mid u_b), \qquad y'_b = \arg\max_c f(c \mid u_b)

    with alpha(t) from 0 at T1 in a straight line to its end at T2 (equation 16). Images whose label
    is not accepted count as 0 in the mean over all B. The label is given to the very view that is
    learned from, by the same pass through the network, dropout and all.

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
            alpha = config.weight * linear_ramp(batch.done, config.ramp_start, config.ramp_end)
            unlabelled = pseudo_label_loss(logits_u, config.threshold)
            learner.step(F.cross_entropy(logits, batch.y) + alpha * unlabelled)
    return learner.trained()


def run(
    config: PseudoLabelConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Train on all training images, then evaluate."""
    trained = train(config, data, seed, runtime, progress)
    return outcome(trained, data, Labeller(partial(predict, trained.model), config.threshold))


METHOD = Method(
    config=PseudoLabelConfig,
    data=ImageData,
    metrics=METRICS,
    run=run,
    check=check_unlabelled,
    build=build,
)
