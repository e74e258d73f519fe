"""The settings that contrastive recipes share, and the data that fit them."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from lelkern.augment import AugmentConfig, Color, Crop
from lelkern.config import Config
from lelkern.data import ImageData
from lelkern.evaluate.checks import check_images
from lelkern.methods.contrastive._evaluation import check_evaluation
from lelkern.methods.images import check_batch, check_square
from lelkern.models import ConvEncoderConfig, EncoderConfig, HeadConfig
from lelkern.optim import OptimizerConfig


class EncoderTraining(Config):
    """How an encoder is trained, with labels or without.

    Attributes:
        encoder: the network f, whose representation h = f(x) is kept.
        augment: what every image goes through each time that it is seen, in order; of two views of
            an image, what makes them differ. By default milder crops and fuller changes of hue
            than SimCLR's, for small images without much background.
        batch_size: images a step.
        steps: optimiser steps; 0 leaves the encoder as it was drawn.
        epochs: passes through the images, in place of ``steps`` unless these are 0.
        optimizer: the optimiser and its learning rate.
        lr_scaling: how ``optimizer.lr``, which is that of batches of 64 images, grows with the
            batch: by ``linear`` N / 64 or by the ``root`` of it (SimCLR, Appendix B.1), or not at
            all.
    """

    in_place_of: ClassVar[Mapping[str, str]] = {"epochs": "steps"}

    encoder: EncoderConfig = ConvEncoderConfig()
    augment: AugmentConfig = (
        Crop(min_scale=0.5),
        Color(brightness=0.4, contrast=0.4, hue=0.5, p=1.0, grey_p=0.5),
    )
    batch_size: int = Field(default=64, ge=2)
    steps: int = Field(default=480, ge=0)
    epochs: float | None = Field(default=None, ge=0)
    optimizer: OptimizerConfig = OptimizerConfig()
    lr_scaling: Literal["none", "root", "linear"] = "none"

    def steps_on(self, images: int) -> int:
        """Return the number of optimiser steps on so many training images."""
        if self.epochs is None or self.steps == 0:
            return self.steps
        return max(round(self.epochs * images / self.batch_size), 1 if self.epochs else 0)

    def scaled_optimizer(self) -> OptimizerConfig:
        """Return the optimiser with the learning rate of this batch size."""
        growth = self.batch_size / 64
        factor = {"none": 1.0, "root": math.sqrt(growth), "linear": growth}[self.lr_scaling]
        return self.optimizer.model_copy(update={"lr": factor * self.optimizer.lr})


class ContrastiveConfig(EncoderTraining):
    """Everything that decides a contrastive run besides the method, the images and the seed.

    Attributes:
        head: the network g; the loss compares z = g(h).
        temperature: the loss's tau.
    """

    head: HeadConfig = HeadConfig()
    temperature: float = Field(default=0.2, gt=0)


def check_training_images(config: EncoderTraining, images: Tensor) -> None:
    """Raise ValueError if images are no square uint8 images, or too few for a batch."""
    check_images("images", images)
    _check_sizes(config, len(images), *images.shape[2:])


def _check_sizes(config: EncoderTraining, number: int, height: int, width: int) -> None:
    check_batch("batch_size", config.batch_size, number)
    check_square(height, width)


def check(config: ContrastiveConfig, data: ImageData) -> None:
    """Raise ValueError if a recipe could not train on these images or be judged by them."""
    unlabeled = 0 if data.unlabeled_images is None else len(data.unlabeled_images)
    _check_sizes(config, len(data.train_images) + unlabeled, *data.train_images.shape[2:])
    check_evaluation(data)
