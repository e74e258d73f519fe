"""What contrastive recipes have in common: settings, networks, the training loop and metrics.

A recipe adds its loss and what it keeps between steps: see :mod:`lelkern.methods.simclr` and
:mod:`lelkern.methods.moco`.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from lelkern.augment import Augment, AugmentConfig, Color, Crop
from lelkern.config import Config
from lelkern.data import ImageData
from lelkern.methods.evaluation import evaluate_contrastive
from lelkern.models import ConvEncoderConfig, Encoder, EncoderConfig, HeadConfig, ProjectionHead
from lelkern.optim import OptimizerConfig
from lelkern.runtime import Progress, RuntimeConfig


class PretrainingConfig(Config):
    """Everything that decides a contrastive run besides the method, the images and the seed.

    Attributes:
        steps: optimiser steps; 0 leaves the encoder as it was drawn.
        batch_size: images a step.
        temperature: the loss's tau.
        augment: what makes two views of an image differ, in order. By default milder crops and
            fuller changes of hue than SimCLR's, for small images without much background.
    """

    encoder: EncoderConfig = ConvEncoderConfig()
    head: HeadConfig = HeadConfig()
    augment: AugmentConfig = (
        Crop(min_scale=0.5),
        Color(brightness=0.4, contrast=0.4, hue=0.5, p=1.0, grey_p=0.5),
    )
    temperature: float = Field(default=0.2, gt=0)
    batch_size: int = Field(default=64, ge=2)
    steps: int = Field(default=480, ge=0)
    optimizer: OptimizerConfig = OptimizerConfig()


class Projector(nn.Module):
    """An encoder f followed by a projection head g: z = g(f(x))."""

    def __init__(self, encoder: Encoder, head: ProjectionHead, runtime: RuntimeConfig) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.runtime = runtime

    def forward(self, images: Tensor) -> Tensor:
        """Project images (B, 3, H, W), float in [0, 1], to z (B, out), float32."""
        with self.runtime.autocast():
            h = self.encoder(images)
        # The head is cheap, and a temperature of 0.01 magnifies bfloat16's rounding a hundredfold.
        return self.head(h.float())


class ContrastiveModel(Projector):
    """The encoder f, the projection head g and the augmentations t of a configuration.

    Weights are drawn from torch's global generator, and so are augmentations.
    """

    def __init__(self, config: PretrainingConfig, image_size: int, runtime: RuntimeConfig) -> None:
        encoder = config.encoder.build()
        super().__init__(encoder, ProjectionHead(config.head, encoder.features), runtime)
        self.augment = Augment(config.augment, image_size)

    def view(self, images: Tensor) -> Tensor:
        """Draw one augmented view, float in [0, 1], of each of images (B, 3, H, W), uint8."""
        return self.augment(images.float() / 255)

    def two_views(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Draw two views of each image, independently of each other."""
        first, second = self.view(torch.cat([images, images])).chunk(2)
        return first, second


class Training:
    """The loop around a recipe's steps: batches in, losses out.

    ``for images in training: training.step(loss(images))`` is a whole run.
    """

    def __init__(
        self, model: nn.Module, config: PretrainingConfig, images: Tensor, progress: Progress
    ) -> None:
        self._steps = config.steps
        self._done = 0
        self._batch_size = config.batch_size
        self._images = images
        self._progress = progress
        self._optimizer, self._schedule = config.optimizer.build([model], config.steps)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield a batch (B, 3, H, W), uint8, for every step.

        Every epoch goes through all images in a new random order; those that are left over from
        its last whole batch sit it out.
        """
        n, size = len(self._images), self._batch_size
        batches: list[Tensor] = []
        for _ in range(self._steps):
            if not batches:
                order = torch.randperm(n).to(self._images.device)
                batches = [b for b in order.split(size) if len(b) == size]
            yield self._images[batches.pop()]

    def step(self, loss: Tensor) -> None:
        """Move the parameters against the gradient of the loss, a scalar, and report it."""
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        self._done += 1
        self._progress(self._done, loss.item())


ConfigT = TypeVar("ConfigT", bound=PretrainingConfig)
ModelT = TypeVar("ModelT", bound=ContrastiveModel)


def pretrain(
    build: Callable[[ConfigT, int, RuntimeConfig], ModelT],
    fit: Callable[[ModelT, Training], None],
    config: ConfigT,
    images: Tensor,
    seed: int,
    runtime: RuntimeConfig | None,
    progress: Progress,
) -> ModelT:
    """Build a recipe's model and train it.

    Args:
        build: makes the model for a configuration and a size of images.
        fit: goes through a training and takes its steps.
        config: the recipe.
        images: (N, 3, H, W), uint8, square; N at least ``config.batch_size``.
        seed: decides initial weights, batches and augmentations; torch's global generator is left
            as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the loss in nats.

    Raises:
        ValueError: too few images for a batch, or images that are not square.
    """
    _check_images(config, len(images), images.shape)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        resolved = (runtime or RuntimeConfig()).resolve()
        images = images.to(resolved.device)
        model = build(config, images.shape[-1], resolved)
        model = model.to(resolved.device).to(memory_format=torch.channels_last)
        fit(model, Training(model, config, images, progress))
        return model


def _check_images(config: PretrainingConfig, n: int, shape: torch.Size) -> None:
    height, width = shape[2:]
    if n < config.batch_size:
        raise ValueError(
            f"batch_size must be at most the number of training images, {n}, "
            f"got {config.batch_size}"
        )
    if height != width:
        raise ValueError(f"images must be square, got {height}x{width}; set data.image_size")


def train_and_evaluate(
    train: Callable[[ConfigT, Tensor, int, RuntimeConfig, Progress], ContrastiveModel],
    config: ConfigT,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> dict[str, float]:
    """Train on the training (and unlabelled) images, then evaluate the frozen encoder.

    Returns:
        The metrics of :func:`evaluate_contrastive` and, of the last tenth of the steps, the mean
        loss.
    """
    losses: list[float] = []

    def remember(step: int, loss: float) -> None:
        losses.append(loss)
        progress(step, loss)

    model = train(config, _images(data), seed, runtime, remember)
    metrics = evaluate_contrastive(
        model.encoder, model.head, model.view, config.temperature, data, seed
    )
    last = losses[-max(1, len(losses) // 10) :]
    return metrics | ({"final_loss": sum(last) / len(last)} if last else {})


def check(config: PretrainingConfig, data: ImageData) -> None:
    """Raise ValueError if a recipe could not work with these images."""
    unlabeled = 0 if data.unlabeled_images is None else len(data.unlabeled_images)
    _check_images(config, len(data.train_images) + unlabeled, data.train_images.shape)


def untrained(config: ConfigT) -> ConfigT:
    """Return the configuration that leaves the encoder as it was drawn."""
    return config.model_copy(update={"steps": 0})


def _images(data: ImageData) -> Tensor:
    if data.unlabeled_images is None:
        return data.train_images
    return torch.cat([data.train_images, data.unlabeled_images])
