"""MoCo: learn to recognise an image's key among those of earlier batches, kept in a queue.

Momentum Contrast: He, Fan, Wu, Xie & Girshick, "Momentum Contrast for Unsupervised Visual
Representation Learning", CVPR 2020 (v1); Chen, Fan, Girshick & He, "Improved Baselines with
Momentum Contrastive Learning", 2020 (v2).

A query q = f_q(x1), of one view of an image, learns to recognise the key k = f_k(x2), of the
other view, among the keys of earlier batches: those in a queue of K. So the number of negatives
does not depend on the size of the batch. For the keys in the queue to be comparable, f_k must
change slowly: it is no encoder that learns, but the moving average of f_q. The representation
that is kept is that of f_q, below its head.

v1 has a linear head and temperature 0.07; v2 a head with a hidden layer, temperature 0.2, stronger
augmentations and a cosine learning rate, as here by default. v1 is ``head.kind = "linear"`` and
``temperature = 0.07``.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from lelkern.augment import Augment
from lelkern.data import ImageData
from lelkern.evaluate.features import to_unit
from lelkern.methods.contrastive._config import ContrastiveConfig, check, check_training_images
from lelkern.methods.contrastive._evaluation import METRICS, evaluate
from lelkern.methods.contrastive._projector import Projector, build
from lelkern.methods.images import training_images
from lelkern.methods.method import Method, Outcome
from lelkern.methods.training import Losses, batches, seeded
from lelkern.models import Encoder, ProjectionHead, split_batch_norms
from lelkern.nn import KeyQueue, ModelEMA, cosine_momentum
from lelkern.ops import info_nce
from lelkern.optim import Optimisation
from lelkern.runtime import Progress, RuntimeConfig, silent


class MoCoConfig(ContrastiveConfig):
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

    def decay(self, steps: int) -> float | Callable[[int], float]:
        """Return m, or the function that gives m for the number of a step, from 0, of so many."""
        if self.momentum_schedule == "constant":
            return self.momentum
        return partial(cosine_momentum, total_steps=steps, start=self.momentum)


class MoCo(nn.Module):
    """What a MoCo run learns and keeps from step to step.

    Attributes:
        query: f_q with its head, which learns.
        key: f_k with its head, the moving average of ``query``. Only parameters are averaged:
            BatchNorm's running statistics are those of the keys' own batches.
        queue: the last K keys.
    """

    def __init__(self, config: MoCoConfig, steps: int, runtime: RuntimeConfig) -> None:
        super().__init__()
        self.query = Projector(config, runtime)
        split_batch_norms(self.query, config.bn_splits)
        self.key = ModelEMA(self.query, config.decay(steps), buffers="skip")
        self.queue = KeyQueue(config.queue_size, self.query.head.out)

    @property
    def encoder(self) -> Encoder:
        """The representation that is kept: f_q below its head."""
        return self.query.encoder

    @property
    def head(self) -> ProjectionHead:
        """The head of f_q."""
        return self.query.head


@torch.no_grad()
def shuffled_keys(key: nn.Module, views: Tensor) -> Tensor:
    """Return k = f_k(views), (N, out), without gradient.

    BatchNorm would tell: if a query and its key shared the batch statistics of the same part of
    the batch, these would give away which key it is. So the parts are drawn by lot for the keys,
    and not for the queries (He et al. 2020, Section 3.3, "Shuffling BN").
    """
    order = torch.randperm(len(views)).to(views.device)
    return key(views[order])[order.argsort()]


def train(
    config: MoCoConfig,
    images: Tensor,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> MoCo:
    r"""Learn an encoder from images without labels, by Algorithm 1 of He et al. 2020.

    The loss of a query q with key k among the keys k_i in the queue is

    .. math::
        \ell(q, k) = -\log \frac{\exp(q \cdot k / \tau)}
                                {\exp(q \cdot k / \tau) + \sum_{i=1}^K \exp(q \cdot k_i / \tau)}

    with q, k and k_i of unit norm (equation 1). The symmetric loss is the mean of
    :math:`\ell(f_q(x_1), f_k(x_2))` and :math:`\ell(f_q(x_2), f_k(x_1))` (Chen, Xie & He 2021, "An
    Empirical Study of Training Self-Supervised Vision Transformers", Section 3, who take the sum).

    Args:
        config: the recipe.
        images: (M, 3, H, W), uint8, square; M at least ``config.batch_size``.
        seed: decides initial weights, batches, augmentations and the shuffling of keys; torch's
            global generator is left as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the loss in nats.

    Returns:
        Both encoders with their heads, and the queue.

    Raises:
        ValueError: the images are not uint8 or not square, or too few for a batch.
    """
    check_training_images(config, images)
    runtime = (runtime or RuntimeConfig()).resolve()
    images = images.to(runtime.device)
    steps = config.steps_on(len(images))
    with seeded(seed):
        model = MoCo(config, steps, runtime)
        model = model.to(runtime.device).to(memory_format=torch.channels_last)
        augment = Augment(config.augment, images.shape[-1])  # drawn anew for every view
        optimisation = Optimisation(config.scaled_optimizer(), [model.query], steps, progress)
        for batch in batches(len(images), config.batch_size, steps):
            x = to_unit(images[batch])  # (N, 3, H, W)
            x1, x2 = augment(torch.cat([x, x])).chunk(2)  # two views of each image
            pairs = [(x1, x2), (x2, x1)] if config.symmetric else [(x1, x2)]
            keys = [shuffled_keys(model.key, other) for _, other in pairs]  # (N, out) each
            negatives = model.queue.keys()  # (K, out)
            losses = [
                info_nce(model.query(view), k, negatives, config.temperature)  # equation 1
                for (view, _), k in zip(pairs, keys, strict=True)
            ]
            optimisation.step(torch.stack(losses).mean())
            model.key.update(model.query)  # equation 2
            model.queue.enqueue(torch.cat(keys))
    return model


def run(
    config: MoCoConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Train on all training images, then evaluate the frozen query encoder."""
    losses = Losses(progress)
    model = train(config, training_images(data), seed, runtime, losses)
    metrics = evaluate(model.encoder, model.head, config.augment, config.temperature, data, seed)
    models = {"model": model.query, "average": model.key.module}
    return Outcome({**metrics, "final_loss": losses.final()}, models=models)


METHOD = Method(
    config=MoCoConfig, data=ImageData, metrics=METRICS, run=run, check=check, build=build
)
