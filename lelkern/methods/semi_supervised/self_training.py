"""Self-training: pick confident predictions, add them to the training data, and train again.

Pseudo-labels in stages, as Yarowsky, "Unsupervised Word Sense Disambiguation Rivaling Supervised
Methods", ACL 1995, Section 4, grows its training data. A network is trained on the labelled images.
It then labels the others: those of which it is confident join the training data for good, with that
label, and the next network is trained from scratch on what there is now.

With labels that are given anew at every step: ``pseudo_label.py``.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from pydantic import Field

from lelkern.data import ImageData
from lelkern.methods.images import training_images
from lelkern.methods.method import Method, Outcome
from lelkern.methods.semi_supervised._config import check_labelled
from lelkern.methods.semi_supervised._evaluation import METRICS, Labeller, outcome, predict
from lelkern.methods.semi_supervised._learner import Trained, build
from lelkern.methods.semi_supervised.supervised import SupervisedConfig, fit
from lelkern.methods.training import after, seeded
from lelkern.runtime import Progress, RuntimeConfig, silent


class SelfTrainingConfig(SupervisedConfig):
    """Everything that decides a run of self-training besides the data and the seed.

    ``steps`` are those of each network.

    Attributes:
        stages: how many times images are added and a network is trained again.
        threshold: confidence from which on an image is added.
    """

    stages: int = Field(default=3, ge=1)
    threshold: float = Field(default=0.95, ge=0, le=1)


class SelfTrained(NamedTuple):
    """What self-training leaves.

    Attributes:
        trained: the last network with its average.
        data: what it was trained on: all training images with the labels that were given.
        teacher: the network that gave the last of them.
    """

    trained: Trained
    data: ImageData
    teacher: Trained


def add_confident(data: ImageData, teacher: Trained, threshold: float) -> ImageData:
    """Return the data with labels for hidden ones of which the teacher is confident.

    The teacher sees the images as they are, in evaluation mode. Labels that are there stay.
    """
    confidence, guess = predict(teacher.model, data.train_images).softmax(dim=1).max(dim=1)
    added = (data.train_labels < 0) & (confidence >= threshold)
    return data.with_labels(torch.where(added, guess, data.train_labels))


def in_one_place(data: ImageData) -> ImageData:
    """Return the data with all images that may be learned from among the training images."""
    images = training_images(data)
    labels = data.train_labels.new_full((len(images),), -1)
    labels[: len(data.train_labels)] = data.train_labels
    return replace(data, train_images=images, train_labels=labels, unlabeled_images=None)


def train(
    config: SelfTrainingConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> SelfTrained:
    """Learn a classifier from labels, and from those that its predecessors were sure of.

    Args:
        config: the recipe.
        data: with visible labels of at least two classes, and square images.
        seed: decides initial weights, batches and augmentations; torch's global generator is left
            as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done by all networks and the
            loss.

    Returns:
        The last network, what it was trained on, and its teacher.

    Raises:
        ValueError: the images are not square, or fewer than two classes have visible labels.
    """
    check_labelled(config, data)
    data = in_one_place(data)
    with seeded(seed):
        trained = fit(config, data, runtime, progress, config.mixup)
        for stage in range(1, config.stages + 1):
            teacher = trained
            data = add_confident(data, teacher, config.threshold)
            onward = after(stage * config.steps, progress)
            trained = fit(config, data, runtime, onward, config.mixup)
    return SelfTrained(trained, data, teacher)


def run(
    config: SelfTrainingConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Train on all training images, then evaluate."""
    trained, _, teacher = train(config, data, seed, runtime, progress)
    return outcome(trained, data, Labeller(partial(predict, teacher.model), config.threshold))


METHOD = Method(
    config=SelfTrainingConfig,
    data=ImageData,
    metrics=METRICS,
    run=run,
    check=check_labelled,
    build=build,
)
