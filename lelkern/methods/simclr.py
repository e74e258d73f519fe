"""SimCLR (Chen, Kornblith, Norouzi & Hinton 2020), Algorithm 1.

An encoder f and a projection head g learn, without labels, to recognise which two of 2N augmented
views come from the same image: for a batch of N images, h = f(t(x)), z = g(h), and the loss is
NT-Xent over the 2N rows of z. The representation that is kept is h.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from lelkern.augment import Augment, AugmentConfig, Color, Crop
from lelkern.config import Config
from lelkern.data import ImageData
from lelkern.methods.evaluation import evaluate_contrastive
from lelkern.methods.runtime import Progress, RuntimeConfig, silent
from lelkern.models import ConvEncoderConfig, EncoderConfig, HeadConfig, ProjectionHead
from lelkern.nn import NTXentLoss
from lelkern.optim import OptimizerConfig


class SimCLRConfig(Config):
    """Everything that decides a SimCLR run besides the images and the seed.

    Attributes:
        steps: optimiser steps; 0 leaves the encoder as it was drawn.
        batch_size: images a step, N; the loss sees 2N views.
        temperature: NT-Xent's tau.
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


class SimCLR(nn.Module):
    """The encoder f, the projection head g and the augmentations t.

    Weights are drawn from torch's global generator, and so are augmentations.
    """

    def __init__(self, config: SimCLRConfig, image_size: int, runtime: RuntimeConfig) -> None:
        super().__init__()
        self.encoder = config.encoder.build()
        self.head = ProjectionHead(config.head, self.encoder.features)
        self.augment = Augment(config.augment, image_size)
        self.loss = NTXentLoss(config.temperature)
        self.runtime = runtime

    def forward(self, images: Tensor) -> Tensor:
        """Project images (B, 3, H, W), float in [0, 1], to z (B, out), float32."""
        with self.runtime.autocast():
            h = self.encoder(images)
        # The head is cheap, and a temperature of 0.01 magnifies bfloat16's rounding a hundredfold.
        return self.head(h.float())

    def view(self, images: Tensor) -> Tensor:
        """Draw one augmented view, float in [0, 1], of each of images (B, 3, H, W), uint8."""
        return self.augment(images.float() / 255)


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
    _check_images(config, len(images), images.shape)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _train(config, images, (runtime or RuntimeConfig()).resolve(), progress)


def _check_images(config: SimCLRConfig, n: int, shape: torch.Size) -> None:
    height, width = shape[2:]
    if n < config.batch_size:
        raise ValueError(
            f"batch_size must be at most the number of training images, {n}, "
            f"got {config.batch_size}"
        )
    if height != width:
        raise ValueError(f"images must be square, got {height}x{width}; set data.image_size")


def _train(
    config: SimCLRConfig, images: Tensor, runtime: RuntimeConfig, progress: Progress
) -> SimCLR:
    images = images.to(runtime.device)
    model = SimCLR(config, images.shape[-1], runtime)
    model = model.to(runtime.device).to(memory_format=torch.channels_last)
    optimizer, schedule = config.optimizer.build([model], config.steps)
    batches: list[Tensor] = []
    for step in range(config.steps):
        if not batches:
            order = torch.randperm(len(images)).to(images.device)
            batches = [b for b in order.split(config.batch_size) if len(b) == config.batch_size]
        batch = images[batches.pop()]
        z1, z2 = model(model.view(torch.cat([batch, batch]))).chunk(2)
        loss = model.loss(z1, z2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress(step + 1, loss.item())
    return model


def run(
    config: SimCLRConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> dict[str, float]:
    """Train on the training (and unlabelled) images, then evaluate the frozen encoder."""
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


def check(config: SimCLRConfig, data: ImageData) -> None:
    """Raise ValueError if :func:`run` could not work with these images."""
    unlabeled = 0 if data.unlabeled_images is None else len(data.unlabeled_images)
    _check_images(config, len(data.train_images) + unlabeled, data.train_images.shape)


def untrained(config: SimCLRConfig) -> SimCLRConfig:
    """Return the configuration that leaves the encoder as it was drawn."""
    return config.model_copy(update={"steps": 0})


def _images(data: ImageData) -> Tensor:
    if data.unlabeled_images is None:
        return data.train_images
    return torch.cat([data.train_images, data.unlabeled_images])
