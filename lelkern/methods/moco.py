"""MoCo: Momentum Contrast (He et al. 2020, "v1"; Chen, Fan, Girshick & He 2020, "v2").

A query q = f_q(x1), of one view of an image, learns to recognise the key k = f_k(x2), of the
other view, among the keys of earlier batches: those in a queue of K. So the number of negatives
does not depend on the size of the batch. For the keys in the queue to be comparable, f_k must
change slowly: it is no encoder that learns, but the moving average of f_q. The representation
that is kept is that of f_q, below its head.

v1 has a linear head and temperature 0.07; v2 a head with a hidden layer, temperature 0.2, stronger
augmentations and a cosine learning rate, as here by default. v1 is ``head.kind = "linear"`` and
``temperature = 0.07``.
"""

from copy import deepcopy
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from lelkern.data import ImageData
from lelkern.methods.pretraining import (
    ContrastiveModel,
    PretrainingConfig,
    Projector,
    Training,
    pretrain,
    train_and_evaluate,
)
from lelkern.models import split_batch_norms
from lelkern.nn import cosine_momentum
from lelkern.ops import ema_update_, info_nce
from lelkern.runtime import Progress, RuntimeConfig, silent


class MoCoConfig(PretrainingConfig):
    """Everything that decides a MoCo run besides the images and the seed.

    Attributes:
        queue_size: K, keys that are kept as negatives.
        momentum: m, by which the key encoder keeps what it was at every step. The keys are
            averages over about 1 / (1 - m) steps, which must be well below ``steps``.
        momentum_schedule: ``constant``, or ``cosine``: from ``momentum`` at the first step to 1
            after the last.
        symmetric: let each view be the query once, at twice the cost of a step.
        bn_splits: equal parts of a batch over which BatchNorm takes its statistics, at least two
            images each.
    """

    batch_size: int = Field(default=128, ge=2)
    steps: int = Field(default=1000, ge=0)
    queue_size: int = Field(default=1024, ge=1)
    momentum: float = Field(default=0.99, ge=0, le=1)
    momentum_schedule: Literal["constant", "cosine"] = "constant"
    symmetric: bool = False
    bn_splits: int = Field(default=4, ge=1)

    @model_validator(mode="after")
    def _batches_can_be_split(self) -> Self:
        if self.batch_size % self.bn_splits or self.batch_size < 2 * self.bn_splits:
            raise ValueError(
                f"bn_splits must divide batch_size, {self.batch_size}, into equal parts of at "
                f"least 2 images, got {self.bn_splits}"
            )
        return self


class KeyQueue(nn.Module):
    """The last K keys, first in, first out (He et al. 2020, Section 3.2).

    It starts empty and gives what it has; the authors' code starts with K random keys, which stay
    for K / N steps. Both buffers belong to the ``state_dict``.

    Attributes:
        rows: (K, D); key number i lies in row i mod K.
        count: (), int64: how many keys there have been.
    """

    rows: Tensor
    count: Tensor

    def __init__(self, size: int, features: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(size, features))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def keys(self) -> Tensor:
        """Return the keys that are there, (min(count, K), D), in the order of their rows."""
        return self.rows[: int(self.count)]

    def enqueue(self, keys: Tensor) -> None:
        """Add keys (N, D) in their order, the oldest giving way; N may be larger than K."""
        size, n = len(self.rows), len(keys)
        number = self.count + torch.arange(n, device=keys.device)[-size:]
        self.rows[number % size] = keys[-size:]
        self.count += n


class MoCo(ContrastiveModel):
    """The query encoder with its head, their moving average for keys, the queue and the loss."""

    def __init__(self, config: MoCoConfig, image_size: int, runtime: RuntimeConfig) -> None:
        super().__init__(config, image_size, runtime)
        split_batch_norms(self.encoder, config.bn_splits)
        self.key = Projector(deepcopy(self.encoder), deepcopy(self.head), runtime)
        self.key.requires_grad_(False)
        features = config.head.out if config.head.kind != "none" else self.encoder.features
        self.queue = KeyQueue(config.queue_size, features)
        self.config = config

    @torch.no_grad()
    def keys(self, views: Tensor) -> Tensor:
        """Return k = f_k(views), (N, D), without gradient.

        BatchNorm would tell: if a query and its key shared the batch statistics of the same part
        of the batch, these would give away which key it is. So the parts are drawn by lot for the
        keys, and not for the queries (He et al. 2020, Section 3.3, "Shuffling BN").
        """
        order = torch.randperm(len(views)).to(views.device)
        return self.key(views[order])[order.argsort()]

    def compare(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return the loss of a batch of two views (N, 3, H, W), and its keys.

        .. math::
            \ell(q, k) = -\log \frac{\exp(q \cdot k / \tau)}
                                    {\exp(q \cdot k / \tau) + \sum_{i=1}^K \exp(q \cdot k_i / \tau)}

        with unit q and k (He et al. 2020, equation 1). The symmetric loss is the mean of
        :math:`\ell(f_q(x_1), f_k(x_2))` and :math:`\ell(f_q(x_2), f_k(x_1))` (Chen, Xie & He 2021,
        "An Empirical Study of Training Self-Supervised Vision Transformers", Section 3, who take
        the sum).
        """
        negatives = self.queue.keys()
        pairs = [(x1, x2), (x2, x1)] if self.config.symmetric else [(x1, x2)]
        keys = [self.keys(other) for _, other in pairs]
        losses = [
            info_nce(self(view), k, negatives, self.config.temperature)
            for (view, _), k in zip(pairs, keys, strict=True)
        ]
        return torch.stack(losses).mean(), torch.cat(keys)

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        r"""Update the key encoder.

        .. math:: \theta_k \leftarrow m \theta_k + (1 - m) \theta_q

        (He et al. 2020, equation 2.) Only parameters are averaged: BatchNorm's running statistics
        are those of the keys' own batches.
        """
        query = [*self.encoder.parameters(), *self.head.parameters()]
        ema_update_(list(self.key.parameters()), query, momentum)


def train(
    config: MoCoConfig,
    images: Tensor,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> MoCo:
    """Learn an encoder from images without labels.

    Args:
        config: the recipe.
        images: (N, 3, H, W), uint8, square; N at least ``config.batch_size``.
        seed: decides initial weights, batches, augmentations and the shuffling of keys; torch's
            global generator is left as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the loss in nats.

    Raises:
        ValueError: too few images for a batch, or images that are not square.
    """
    return pretrain(MoCo, _fit, config, images, seed, runtime, progress)


def _fit(model: MoCo, training: Training) -> None:
    """Algorithm 1 of He et al. 2020."""
    for step, images in enumerate(training):
        loss, keys = model.compare(*model.two_views(images))
        training.step(loss)
        model.follow(_momentum(model.config, step))
        model.queue.enqueue(keys)


def _momentum(config: MoCoConfig, step: int) -> float:
    if config.momentum_schedule == "constant":
        return config.momentum
    return cosine_momentum(step, config.steps, start=config.momentum)


def run(
    config: MoCoConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> dict[str, float]:
    """Train on the training (and unlabelled) images, then evaluate the frozen query encoder."""
    return train_and_evaluate(train, config, data, seed, runtime, progress)
