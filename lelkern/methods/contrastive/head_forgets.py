"""What a projection head forgets: SimCLR, and probes of h and of g(h).

Chen, Kornblith, Norouzi & Hinton, "A Simple Framework for Contrastive Learning of Visual
Representations" (SimCLR), ICML 2020, Section 4.2 and Table 3. The loss makes z = g(h) the same for
all views of an image, so g may throw away what the views differ in, while h, before it, may keep
it. Here linear probes say what is left in either: the class, and factors of nuisance.

Nuisance is what was drawn when the images were made, where the data know it (the tasks ``colour``
and ``place`` of ``color-digit-tasks``), and transformations that are applied to whole images, of
whatever data: a rotation by a multiple of 90 degrees, grey for colour, Gaussian noise, and the
Sobel filter.

h and g(h) are equally wide, as in the paper. Otherwise than there the probes are linear, where the
paper trains another MLP, and every image is there in all of its versions: chance is 25 % for the
rotation, and 50 % for the others, where the paper has 80 % for colour or grey.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from lelkern.data import ImageData, ImageTaskData
from lelkern.evaluate import extract, linear_probe
from lelkern.evaluate.features import to_unit
from lelkern.methods.contrastive._config import check
from lelkern.methods.contrastive._projector import Projector
from lelkern.methods.contrastive._transformations import TRANSFORMATIONS
from lelkern.methods.contrastive.simclr import SimCLRConfig, train
from lelkern.methods.images import labelled_images, training_images
from lelkern.methods.method import Blueprint, Method, Outcome
from lelkern.methods.metric import Metric, percentage
from lelkern.methods.training import Losses, seeded
from lelkern.runtime import Progress, RuntimeConfig

TASKS: Mapping[str, str] = {"hue": "colour", "place": "place"}
"""What is asked of images with further tasks, and the task that tells."""

_ASKED = {
    "class": "class",
    "hue": "hue",
    "place": "place",
    "rotation": "rotation",
    "grey": "colour or grey",
    "noise": "original or corrupted",
    "sobel": "original or Sobel filtered",
}
METRICS: Mapping[str, Metric] = {
    **{f"{name}_h": percentage(f"{label} from h") for name, label in _ASKED.items()},
    **{f"{name}_z": percentage(f"{label} from g(h)") for name, label in _ASKED.items()},
    "final_loss": Metric("final loss", better="lower", unit="nats"),
}


class HeadForgetsConfig(SimCLRConfig):
    """Everything that decides a run besides the images and the seed.

    ``head.out`` says nothing here: g(h) is as wide as h, so that a probe has as much to go by.

    """

    def of_training(self) -> SimCLRConfig:
        """Return the settings by which SimCLR learns: z as wide as h."""
        with torch.device("meta"):
            features = self.encoder.build().features
        return self.model_copy(update={"head": self.head.model_copy(update={"out": features})})


class Probed(NamedTuple):
    """What linear probes learn from, or are tested on.

    Attributes:
        h: representations (N, features).
        z: projections g(h), (N, features).
        labels: what is to be predicted, (N,) int64, -1 where it is not known.
    """

    h: Tensor
    z: Tensor
    labels: Tensor


def every_version(model: Projector, images: Tensor, transformation: str) -> Probed:
    """Return h and z of images (N, 3, H, W), uint8, in all V versions, (V N) of each.

    Labels are the number of the version: k for a rotation by k times 90 degrees, else 0 for the
    original and 1 for what was made of it.
    """
    found = []
    for transform in TRANSFORMATIONS[transformation]:
        transformed = partial(_transformed, transform)
        found.append(extract([model.encoder, model.head], images, preprocess=transformed))
    h, z = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Probed(h, z, torch.arange(len(found)).repeat_interleave(len(images)))


def _transformed(transform: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return transform(to_unit(images))


def probes(train: Probed, test: Probed) -> tuple[float, float]:
    """Return the accuracies of linear probes of h and z, or NaN where there is nothing to tell.

    That is where fewer than two classes have training samples, or no test sample has a label.
    """
    train, test = (Probed(*(part[of.labels >= 0] for part in of)) for of in (train, test))
    if len(torch.unique(train.labels)) < 2 or not len(test.labels):
        return math.nan, math.nan
    h = linear_probe(train.h, train.labels, test.h, test.labels)
    return h, linear_probe(train.z, train.labels, test.z, test.labels)


def evaluate(model: Projector, data: ImageData, seed: int) -> dict[str, float]:
    """Ask h and g(h) for the class and for every nuisance; the model stays as it is.

    Args:
        model: f and g.
        data: images, with at least two classes among the visible labels.
        seed: decides the noise.

    Returns:
        The metrics by name; hue and place are NaN where the data do not know them.
    """
    networks = [model.encoder, model.head]
    images, test_images = training_images(data), data.test_images
    labelled, labels = labelled_images(data)
    test_h, test_z = extract(networks, test_images)
    train_h, train_z = extract(networks, labelled)
    train = Probed(train_h, train_z, labels)
    found = {"class": probes(train, Probed(test_h, test_z, data.test_labels))}
    found |= dict.fromkeys(TASKS, (math.nan, math.nan))
    if isinstance(data, ImageTaskData):
        train_h, train_z = extract(networks, data.train_images)
        for name, task in TASKS.items():
            if task in data.further:
                column = data.further.index(task)
                train = Probed(train_h, train_z, data.train_further[:, column])
                found[name] = probes(train, Probed(test_h, test_z, data.test_further[:, column]))
    with seeded(seed):
        for name in TRANSFORMATIONS:
            train, test = (every_version(model, x, name) for x in (images, test_images))
            found[name] = probes(train, test)
    return {
        f"{name}_{of}": accuracy
        for name, pair in found.items()
        for of, accuracy in zip("hz", pair, strict=True)
    }


def run(
    config: HeadForgetsConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Train SimCLR on all training images, then probe h and g(h)."""
    losses = Losses(progress)
    model = train(config.of_training(), training_images(data), seed, runtime, losses)
    metrics = evaluate(model, data, seed)
    return Outcome({**metrics, "final_loss": losses.final()}, models={"model": model})


def build(config: HeadForgetsConfig, blueprint: Blueprint) -> Projector:
    """Make a network of the form of one that was trained."""
    return Projector(config.of_training(), blueprint.runtime)


METHOD = Method(
    config=HeadForgetsConfig, data=ImageData, metrics=METRICS, run=run, check=check, build=build
)
