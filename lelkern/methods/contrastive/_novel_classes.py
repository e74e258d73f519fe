"""Classes to learn a representation from, and novel ones to judge it by."""

from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from lelkern.data import ImageData
from lelkern.data.draw import stream
from lelkern.methods.contrastive._config import check
from lelkern.methods.contrastive.simclr import SimCLRConfig
from lelkern.methods.contrastive.simclr import train as train_simclr
from lelkern.methods.contrastive.supervised_encoder import SupervisedEncoderConfig
from lelkern.methods.contrastive.supervised_encoder import train as train_supervised
from lelkern.runtime import Progress, RuntimeConfig


class NovelClassesConfig(SimCLRConfig):
    """SimCLR's settings, of which other ways to pre-train take what they have a use for.

    Attributes:
        novel: share of the classes that are novel, at least two of them; which they are is drawn
            with the trial's seed. The representation is learned from images of the others, the
            base classes, alone.
    """

    novel: float = Field(default=0.5, gt=0, lt=1)

    def number(self, classes: int) -> int:
        """Return the number of novel classes among so many."""
        return max(2, round(self.novel * classes))


class ClassSplit(NamedTuple):
    """Data with the images of some classes each, whose labels count these classes.

    Attributes:
        base: what a representation is learned from.
        novel: what it is judged by.
    """

    base: ImageData
    novel: ImageData


def split_classes(config: NovelClassesConfig, data: ImageData, seed: int) -> ClassSplit:
    """Draw the novel classes.

    Training images whose label is hidden, or that never had one, are in neither part: they might
    be of any class.
    """
    order = torch.randperm(len(data.classes), generator=stream("novel classes", seed))
    novel, base = order.split([n := config.number(len(order)), len(order) - n])
    return ClassSplit(of_classes(data, base), of_classes(data, novel))


def of_classes(data: ImageData, classes: Tensor) -> ImageData:
    """Return the labelled images of some classes, which keep their order."""
    classes = classes.sort().values
    number = torch.full((len(data.classes) + 1,), -1)  # the last is that of hidden labels, -1
    number[classes] = torch.arange(len(classes))
    parts = {}
    for split in ("train", "test"):
        labels = number[getattr(data, f"{split}_labels")]
        parts[f"{split}_images"] = getattr(data, f"{split}_images")[labels >= 0]
        parts[f"{split}_labels"] = labels[labels >= 0]
    return ImageData(data.name, **parts, classes=tuple(data.classes[int(c)] for c in classes))


def new_encoder(how: str, config: NovelClassesConfig) -> nn.Module:
    """Return an encoder as it is drawn, or of ``pixels`` what takes them as they are."""
    return nn.Flatten() if how == "pixels" else config.encoder.build()


def pretrain(
    how: Literal["simclr", "supervised", "pixels"],
    config: SimCLRConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> nn.Module:
    """Return an encoder, images (N, 3, H, W) from 0 to 1 to h (N, features).

    Args:
        how: ``simclr``, by the images alone; ``supervised``, by their labels too: with the same
            encoder, augmentations, images a step, steps or epochs, and optimiser; or ``pixels``:
            h = x, and nothing is learned.
        config: the settings.
        data: what is learned from; all labels are visible.
        seed: decides everything.
        runtime: device and precision.
        progress: called after each step.
    """
    if how == "pixels":
        return nn.Flatten()
    if how == "simclr":
        return train_simclr(config, data.train_images, seed, runtime, progress).encoder
    shared = {key: getattr(config, key) for key in SupervisedEncoderConfig.model_fields}
    recipe = SupervisedEncoderConfig(**shared)
    return train_supervised(recipe, data, seed, runtime, progress).encoder


def check_classes(
    how: str, config: NovelClassesConfig, data: ImageData, *, least_test: int
) -> None:
    """Raise ValueError unless the data do, whichever classes are drawn to be novel.

    Args:
        how: is learned; with labels it takes two base classes.
        config: the settings.
        data: images.
        least_test: test images of every class that are needed.
    """
    check(config, data)
    least_base = 2 if how == "supervised" else 1
    classes = len(data.classes)
    base = classes - config.number(classes)
    if base < least_base:
        raise ValueError(
            f"novel must leave at least {least_base} of {classes} classes, got {config.novel:g}"
        )
    train = data.train_labels[data.train_labels >= 0].bincount(minlength=classes)
    test = data.test_labels.bincount(minlength=classes)
    for name, counts, least in (("training labels", train, 1), ("test images", test, least_test)):
        if (number := int(counts.min())) < least:
            raise ValueError(
                f"{name} of every class must be at least {least}, "
                f"got {number} of '{data.classes[int(counts.argmin())]}'"
            )
    images = int(train.sort().values[:base].sum())
    if how == "simclr" and images < config.batch_size:
        raise ValueError(
            f"batch_size must be at most the number of labelled images of {base} classes, which "
            f"may be {images}, got {config.batch_size}"
        )
