"""Group pruning: training until whole filters are zero, and a smaller network that does the same.

Wen, Wu, Wang, Chen & Li, "Learning Structured Sparsity in Deep Neural Networks", NeurIPS 2016, by
proximal gradient steps (Yuan & Lin 2006), which make filters exactly zero:

    min  cross-entropy + lam sum_j ||(w_j, gamma_j, beta_j)||

over filters j with their weights and BatchNorm's scale and offset. What is zero is taken out, and
the smaller network trained on without the penalty, which has shrunk all that is left.
"""

import math
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lelkern.augment import Augment, AugmentConfig
from lelkern.config import Config
from lelkern.data import ImageData
from lelkern.evaluate import extract
from lelkern.evaluate.checks import check_features
from lelkern.evaluate.features import to_unit
from lelkern.methods.images import check_labels, check_square, labelled_images
from lelkern.methods.method import Blueprint, Method, Outcome
from lelkern.methods.metric import Metric, percentage
from lelkern.methods.multi_task._classifier import Classifier
from lelkern.methods.multi_task._filter_chains import (
    group_filters,
    resize_layers,
    without_dead_filters,
)
from lelkern.methods.multi_task._multiply_adds import multiply_adds
from lelkern.methods.training import after, check_weights, seeded, unbroken_batches
from lelkern.models import ConvEncoderConfig, EncoderConfig
from lelkern.optim import ProximalSGD, warmup_cosine
from lelkern.runtime import Progress, RuntimeConfig, silent


class GroupPruningConfig(Config):
    """Everything that decides a run besides the images and the seed.

    Attributes:
        encoder: the network below the linear classifier, as it is before anything is taken out. Of
            a ResNet's block the last convolution keeps its filters, and so does the stem.
        augment: what every training image goes through each time that it is seen, in order.
        batch_size: labelled images a step, in random order, epoch after epoch.
        lam: what a unit of a filter's norm costs, in nats; 0 for no penalty.
        steps: steps with the penalty.
        lr: peak learning rate of SGD with Nesterov momentum 0.9, after a tenth of the steps, from
            where it falls to zero as a cosine.
        finetune_steps: steps of the smaller network without the penalty.
        finetune_lr: their learning rate at first, which falls likewise.
    """

    encoder: EncoderConfig = ConvEncoderConfig()
    augment: AugmentConfig = ()
    batch_size: int = Field(default=32, ge=2)
    lam: float = Field(default=0.05, ge=0)
    steps: int = Field(default=300, ge=0)
    lr: float = Field(default=0.03, gt=0)
    finetune_steps: int = Field(default=100, ge=0)
    finetune_lr: float = Field(default=0.01, gt=0)


class Pruned(NamedTuple):
    """What is left of a network.

    Attributes:
        model: the smaller network, of ordinary layers, after it was trained on.
        sparse: the network that it was taken from, whose filters are in part zero.
        small: the smaller network as it was taken out: it computes what ``sparse`` does.
        filters_left: share of those filters that can be taken out, which are still there.
    """

    model: Classifier
    sparse: Classifier
    small: Classifier
    filters_left: float


METRICS = {
    "accuracy": percentage("accuracy"),
    "accuracy_before": percentage("accuracy before fine-tuning"),
    "validation_accuracy": percentage("validation accuracy"),
    "filters_left": Metric("filters left", better="lower", unit="%", digits=1),
    "parameters": Metric("parameters", better="lower", digits=0),
    "multiply_adds": Metric("multiplications an image", better="lower", digits=0),
    "output_difference": Metric("difference of logits when pruned", better="lower", digits=15),
}
"""``output_difference`` is the largest of a batch of training images, computed in float64."""


def train(
    config: GroupPruningConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> Pruned:
    """Learn a sparse classifier from the images whose labels are visible, and make it smaller.

    Args:
        config: the recipe.
        data: square images, with visible labels of at least two classes.
        seed: decides initial weights, batches and augmentations; torch's global generator is left
            as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the cross-entropy.

    Returns:
        The smaller network, and where it comes from.

    Raises:
        ValueError: the images are not square, or fewer than two classes have visible labels.
    """
    check(config, data)
    runtime = (runtime or RuntimeConfig()).resolve()
    images, labels = (part.to(runtime.device) for part in labelled_images(data))
    with seeded(seed):
        sparse = Classifier(config.encoder, len(data.classes), runtime)
        sparse = sparse.to(runtime.device).to(memory_format=torch.channels_last)
        banks = group_filters(sparse)
        filters = [bank.rows for bank in banks]  # of each layer (O, I kh kw + 2), a filter a row
        others = [p for p in sparse.parameters() if all(p is not rows for rows in filters)]
        groups: list[dict[str, Any]] = [
            {"params": filters, "prox": "group_lasso", "dim": 1, "lam": config.lam},
            {"params": others},
        ]
        optimizer: Optimizer = ProximalSGD(groups, lr=config.lr, momentum=0.9, nesterov=True)
        augment = Augment(config.augment, images.shape[-1])

        def batches(steps: int) -> Iterator[tuple[Tensor, Tensor]]:
            for i in unbroken_batches(len(images), config.batch_size, steps):
                yield augment(to_unit(images[i])), labels[i]

        _fit(sparse, optimizer, batches(config.steps), config.steps, 0.1, progress)

        small = without_dead_filters(sparse)
        model = deepcopy(small)
        optimizer = torch.optim.SGD(
            model.parameters(), lr=config.finetune_lr, momentum=0.9, nesterov=True
        )
        steps, progress = config.finetune_steps, after(config.steps, progress)
        _fit(model, optimizer, batches(steps), steps, 0.0, progress)
    alive = torch.cat([bank.alive() for bank in banks])
    return Pruned(model, sparse, small, float(alive.double().mean()))


def _fit(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterator[tuple[Tensor, Tensor]],
    steps: int,
    warmup: float,
    progress: Progress,
) -> None:
    """Minimise the cross-entropy, and whatever the optimiser has a proximal operator for.

    Raises:
        NotFiniteError: it has diverged; filters of NaN could not be taken out.
    """
    schedule = LambdaLR(optimizer, lambda step: warmup_cosine(step, steps, round(warmup * steps)))
    for done, (x, y) in enumerate(batches, start=1):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress(done, loss.item())
    check_weights(model)


def difference(one: nn.Module, other: nn.Module, images: Tensor) -> float:
    """Return the largest difference of two networks' outputs, in evaluation mode and float64.

    Args:
        one: a network; it stays as it is.
        other: likewise.
        images: (N, 3, H, W) uint8.
    """
    device = next(one.parameters()).device
    x = to_unit(images.to(device)).double()
    with torch.no_grad():
        outputs = [deepcopy(network).double().eval()(x) for network in (one, other)]
    return float((outputs[0] - outputs[1]).abs().max())


def build(config: GroupPruningConfig, blueprint: Blueprint) -> Classifier:
    """Make a network of the form of a smaller one, as the shapes of its weights say."""
    (classes,) = blueprint.form.classes
    model = Classifier(config.encoder, len(classes), blueprint.runtime)
    resize_layers(model, blueprint.shapes)
    return model


def run(
    config: GroupPruningConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Train on the labelled images and prune, then evaluate."""
    model, sparse, small, filters_left = train(config, data, seed, runtime, progress)
    image = to_unit(data.train_images[0]).to(model.linear.weight.device)
    validation = math.nan
    if data.val_images is not None and data.val_labels is not None:
        validation = _accuracy(model, data.val_images, data.val_labels)
    return Outcome(
        {
            "accuracy": _accuracy(model, data.test_images, data.test_labels),
            "accuracy_before": _accuracy(small, data.test_images, data.test_labels),
            "validation_accuracy": validation,
            "filters_left": filters_left,
            "parameters": float(sum(p.numel() for p in model.parameters())),
            "multiply_adds": float(multiply_adds(model, image)),
            "output_difference": difference(sparse, small, data.train_images[: config.batch_size]),
        },
        models={"model": model},
    )


def _accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    (logits,) = extract([model], images)
    check_features("logits", logits)
    return float((logits.argmax(dim=1) == labels).double().mean())


def check(config: GroupPruningConfig, data: ImageData) -> None:
    """Raise ValueError if a network could not be trained on the labelled images."""
    check_square(*data.train_images.shape[2:])
    check_labels(data)


METHOD = Method(
    config=GroupPruningConfig, data=ImageData, metrics=METRICS, run=run, check=check, build=build
)
