"""Transfer of SimCLR: a representation of some images, judged by others.

Chen et al. 2020 (SimCLR), Section 6 and Appendix B.8, judge a representation of ImageNet by linear
classifiers on other data sets, and compare it with one that was learned with labels. Here any data
set is divided: the representation is learned from the images of the base classes, and judged by

- other classes: the novel ones;
- another painting: the base classes, their images recoloured in one fixed way;
- both: the novel classes recoloured.

The representation is frozen; linear probes see labels of the target's training images, a few or
all. Pre-training is SimCLR, without labels; or supervised, by the labels of the base classes; or
there is none, and the probe sees pixels, or an encoder is trained from scratch, by the labels that
the probe sees. ``steps = 0`` leaves a random encoder.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lelkern.data import ImageData
from lelkern.data.draw import stream
from lelkern.evaluate import extract, linear_probe
from lelkern.methods.contrastive._novel_classes import (
    NovelClassesConfig,
    check_classes,
    new_encoder,
    pretrain,
    split_classes,
)
from lelkern.methods.method import Blueprint, Method, Outcome
from lelkern.methods.metric import Metric, percentage
from lelkern.methods.training import after
from lelkern.runtime import Progress, RuntimeConfig

_TARGETS = {
    "other_classes": "other classes",
    "another_painting": "another painting",
    "both": "both",
}
METRICS: Mapping[str, Metric] = {
    **{name: percentage(label) for name, label in _TARGETS.items()},
    **{f"{name}_few": percentage(f"{label}, few labels") for name, label in _TARGETS.items()},
}


class TransferConfig(NovelClassesConfig):
    """Everything that decides a run besides the images and the seed.

    Attributes:
        pretrain: ``simclr``; ``supervised``, with a linear classifier of the base classes above the
            encoder, and ``batch_size`` images a step as well, of which it sees one view;
            ``pixels``, which trains nothing; or ``scratch``: an encoder for each target, and for
            few and for all labels, each of as many steps as pre-training takes, of which that of
            other classes with all labels is kept.
        few: labels of each class of the target, where they are few; some of those that the trial's
            label budget leaves visible, or all if there are not so many.
    """

    pretrain: Literal["simclr", "supervised", "pixels", "scratch"] = "simclr"
    few: int = Field(default=5, ge=1)


def repainted(images: Tensor) -> Tensor:
    """Return the negatives of images (N, 3, H, W), uint8, with channels G, B, R for R, G, B."""
    return 255 - images[:, [1, 2, 0]]


def repaint(data: ImageData) -> ImageData:
    """Return data with all images recoloured."""
    train, test = repainted(data.train_images), repainted(data.test_images)
    return replace(data, train_images=train, test_images=test)


def few_labelled(data: ImageData, few: int, seed: int) -> ImageData:
    """Return data with a few training images of each class, in their order, drawn by the seed.

    Images that differ in nothing but their colours are drawn alike.
    """
    order = torch.randperm(len(data.train_labels), generator=stream("few labels", seed))
    of_class = (order[data.train_labels[order] == c][:few] for c in range(len(data.classes)))
    kept = torch.cat(list(of_class)).sort().values
    images, labels = data.train_images[kept], data.train_labels[kept]
    return replace(data, train_images=images, train_labels=labels)


def probe(encoder: nn.Module, target: ImageData) -> float:
    """Return the test accuracy of a linear probe of the representation; NaN of a single class."""
    if len(target.classes) < 2:
        return math.nan
    (train_h,) = extract([encoder], target.train_images)
    (test_h,) = extract([encoder], target.test_images)
    return linear_probe(train_h, target.train_labels, test_h, target.test_labels)


def run(
    config: TransferConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Learn from the base classes, then judge by every target; or learn from each target."""
    base, novel = split_classes(config, data, seed)
    targets = {"other_classes": novel, "another_painting": repaint(base), "both": repaint(novel)}
    targets |= {f"{name}_few": few_labelled(x, config.few, seed) for name, x in targets.items()}
    if config.pretrain == "scratch":
        encoders = {}
        steps = config.steps_on(len(base.train_labels))
        as_many = config.model_copy(update={"steps": steps, "epochs": None})
        several = {name: target for name, target in targets.items() if len(target.classes) > 1}
        for i, (name, target) in enumerate(several.items()):
            onward = after(i * steps, progress)
            encoders[name] = pretrain("supervised", as_many, target, seed, runtime, onward)
    else:
        encoder = pretrain(config.pretrain, config, base, seed, runtime, progress)
        encoders = dict.fromkeys(targets, encoder)
    metrics = dict.fromkeys(targets, math.nan)
    metrics |= {name: probe(encoder, targets[name]) for name, encoder in encoders.items()}
    return Outcome(metrics, models={"model": encoders["other_classes"]})


def build(config: TransferConfig, blueprint: Blueprint) -> nn.Module:
    """Make an encoder of the form of one that was trained."""
    return new_encoder(config.pretrain, config)


def check(config: TransferConfig, data: ImageData) -> None:
    """Raise ValueError if there are too few images or classes to learn from or to be judged by."""
    check_classes(config.pretrain, config, data, least_test=1)


METHOD = Method(
    config=TransferConfig, data=ImageData, metrics=METRICS, run=run, check=check, build=build
)
