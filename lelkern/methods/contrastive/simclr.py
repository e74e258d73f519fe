"""SimCLR: learn to tell which two of 2N augmented views come from one image.

Chen, Kornblith, Norouzi & Hinton, "A Simple Framework for Contrastive Learning of Visual
Representations", ICML 2020. An encoder f and a projection head g learn without labels: for a batch
of N images, h = f(t(x)), z = g(h), and the loss is NT-Xent over the 2N rows of z. The
representation that is kept is h.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from lelkern.augment import Augment
from lelkern.config import Config
from lelkern.data import ImageData
from lelkern.evaluate.features import to_unit
from lelkern.methods.contrastive._config import ContrastiveConfig, check, check_training_images
from lelkern.methods.contrastive._evaluation import METRICS, evaluate
from lelkern.methods.contrastive._projector import Projector, build
from lelkern.methods.images import training_images
from lelkern.methods.method import Method, Outcome
from lelkern.methods.training import Losses, batches, seeded
from lelkern.models import split_batch_norms
from lelkern.ops import nt_xent
from lelkern.optim import Optimisation
from lelkern.runtime import Progress, RuntimeConfig, silent


class BatchNormConfig(Config):
    """Which views share the statistics of BatchNorm, as if they lay on several devices.

    Attributes:
        parts: equal parts of the 2N views, each with statistics of its own; 1 for those of all.
        views: ``together``: both views of an image are in one part, as where every device has
            images of its own. Statistics then tell which images are in a part, and the loss can be
            lowered by them alone. ``shuffled``: parts are drawn by lot, so that they cannot.
    """

    parts: int = Field(default=1, ge=1)
    views: Literal["together", "shuffled"] = "together"

    @model_validator(mode="before")
    @classmethod
    def _one_part_is_one_part(cls, data: Any) -> Any:
        """Make equal what is equal: where all views are one part, it does not matter which."""
        if isinstance(data, Mapping) and data.get("parts", 1) == 1:
            return {key: value for key, value in data.items() if key != "views"}
        return data


class SimCLRConfig(ContrastiveConfig):
    """Everything that decides a SimCLR run besides the images and the seed.

    The loss sees two views of each of the ``batch_size`` images.

    Attributes:
        augmented: which of the two views go through ``augment``: ``both``, or ``one``, and the
            other is the image itself, as where single augmentations are studied (Section 3.1).
        normalize: compare views by their cosine; without, by their dot product (Table 5).
        batch_norm: which views share the statistics of BatchNorm.
    """

    augmented: Literal["both", "one"] = "both"
    normalize: bool = True
    batch_norm: BatchNormConfig = BatchNormConfig()

    @model_validator(mode="after")
    def _batches_have_equal_parts(self) -> Self:
        parts = self.batch_norm.parts
        together = self.batch_norm.views == "together"
        number, what = (self.batch_size, "images") if together else (2 * self.batch_size, "views")
        if number % parts or parts > self.batch_size:
            raise ValueError(
                f"batch_norm.parts must divide the {number} {what} of a batch into equal parts of "
                f"at least 2 views, got {parts}"
            )
        return self


def train(
    config: SimCLRConfig,
    images: Tensor,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> Projector:
    """Learn an encoder from images without labels, by Algorithm 1.

    Args:
        config: the recipe.
        images: (M, 3, H, W), uint8, square; M at least ``config.batch_size``.
        seed: decides initial weights, batches and augmentations; torch's global generator is left
            as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the loss in nats.

    Returns:
        The encoder f and the head g.

    Raises:
        ValueError: the images are not uint8 or not square, or too few for a batch.
    """
    check_training_images(config, images)
    runtime = (runtime or RuntimeConfig()).resolve()
    images = images.to(runtime.device)
    with seeded(seed):
        model = Projector(config, runtime)  # g(f(.))
        model = model.to(runtime.device).to(memory_format=torch.channels_last)
        if config.batch_norm.parts > 1:
            split_batch_norms(model, config.batch_norm.parts)
        two_views = TwoViews(config, images.shape[-1])
        steps = config.steps_on(len(images))
        optimisation = Optimisation(config.scaled_optimizer(), [model], steps, progress)
        for batch in batches(len(images), config.batch_size, steps):
            x = to_unit(images[batch])  # (N, 3, H, W)
            views = two_views(x)  # (2N, 3, H, W): t(x) and t'(x)
            z1, z2 = project(model, views, config.batch_norm).chunk(2)  # (N, out) each
            # Equation 1, the mean over all 2N rows.
            loss = nt_xent(z1, z2, config.temperature, normalize=config.normalize)
            optimisation.step(loss)
    return model


class TwoViews(nn.Module):
    """Two views of every image: t(x) for all, then t'(x) for all, or the images themselves."""

    def __init__(self, config: SimCLRConfig, size: int) -> None:
        super().__init__()
        self.augment = Augment(config.augment, size)  # t, drawn anew for every view
        self.both = config.augmented == "both"

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W), float in [0, 1], to views (2N, 3, H, W)."""
        if self.both:
            return self.augment(torch.cat([x, x]))
        return torch.cat([self.augment(x), x])


def project(model: nn.Module, views: Tensor, batch_norm: BatchNormConfig) -> Tensor:
    """Return z = g(f(views)), (2N, out), with views in the parts of ``batch_norm``.

    A part is a run of consecutive rows, so that views are brought into another order and z back.
    """
    if batch_norm.parts == 1:
        return model(views)
    rows = len(views)
    if batch_norm.views == "together":
        order = torch.arange(rows).view(2, -1).T.flatten()  # 0, N, 1, N + 1, ...
    else:
        order = torch.randperm(rows)
    order = order.to(views.device)
    return model(views[order])[order.argsort()]


def run(
    config: SimCLRConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Train on all training images, then evaluate the frozen encoder."""
    losses = Losses(progress)
    model = train(config, training_images(data), seed, runtime, losses)
    metrics = evaluate(
        model.encoder,
        model.head,
        config.augment,
        config.temperature,
        data,
        seed,
        augmented=config.augmented,
        normalize=config.normalize,
    )
    models = {"model": model}
    return Outcome({**metrics, "final_loss": losses.final()}, models=models)


METHOD = Method(
    config=SimCLRConfig, data=ImageData, metrics=METRICS, run=run, check=check, build=build
)
