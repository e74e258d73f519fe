"""SimCLR (Chen, Kornblith, Norouzi & Hinton 2020), Algorithm 1.

An encoder f and a projection head g learn, without labels, to recognise which two of 2N augmented
views come from the same image: for a batch of N images, h = f(t(x)), z = g(h), and the loss is
NT-Xent over the 2N rows of z. The representation that is kept is h.
"""

import torch
from torch import Tensor

from lelkern.data import ImageData
from lelkern.methods.pretraining import (
    ContrastiveModel,
    PretrainingConfig,
    Training,
    pretrain,
    train_and_evaluate,
)
from lelkern.nn import NTXentLoss
from lelkern.runtime import Progress, RuntimeConfig, silent


class SimCLRConfig(PretrainingConfig):
    """Everything that decides a SimCLR run besides the images and the seed.

    The loss sees two views of each of the ``batch_size`` images.
    """


class SimCLR(ContrastiveModel):
    """The encoder f, the projection head g, the augmentations t and the loss."""

    def __init__(self, config: SimCLRConfig, image_size: int, runtime: RuntimeConfig) -> None:
        super().__init__(config, image_size, runtime)
        self.loss = NTXentLoss(config.temperature)


def train(
    config: SimCLRConfig,
    images: Tensor,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> SimCLR:
    """Learn an encoder from images without labels.

    Args:
        config: the recipe.
        images: (N, 3, H, W), uint8, square; N at least ``config.batch_size``.
        seed: decides initial weights, batches and augmentations; torch's global generator is left
            as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the loss in nats.

    Raises:
        ValueError: too few images for a batch, or images that are not square.
    """
    return pretrain(SimCLR, _fit, config, images, seed, runtime, progress)


def _fit(model: SimCLR, training: Training) -> None:
    for images in training:
        z1, z2 = model(torch.cat(model.two_views(images))).chunk(2)  # (N, out) each
        training.step(model.loss(z1, z2))


def run(
    config: SimCLRConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> dict[str, float]:
    """Train on the training (and unlabelled) images, then evaluate the frozen encoder."""
    return train_and_evaluate(train, config, data, seed, runtime, progress)
