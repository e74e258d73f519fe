"""The settings that deep multi-task recipes share, and the data that fit them."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from lelkern.config import Config
from lelkern.data import ImageTaskData
from lelkern.methods.images import check_square
from lelkern.models import ConvEncoderConfig, EncoderConfig
from lelkern.optim import OptimizerConfig


class DeepConfig(Config):
    """Everything that decides a run on images of several tasks besides method, data and seed.

    Images are not augmented: what leaves the label of one task as it is need not leave another's.

    Attributes:
        encoder: the network below the linear heads; where networks are separate each task has one.
        others: which images teach the tasks other than the first: ``labelled``, those whose label
            of the first task is visible, so that a label budget counts images; or ``all``, so that
            it counts labels of the first task alone.
        batch_size: images a step that are drawn for each task, from those that have its label. All
            tasks learn from all images of a step whose label they know.
        steps: optimiser steps; 0 leaves the network as it was drawn.
        optimizer: the optimiser, its learning rate and weight decay.
    """

    encoder: EncoderConfig = ConvEncoderConfig()
    others: Literal["labelled", "all"] = "labelled"
    batch_size: int = Field(default=10, ge=2)
    steps: int = Field(default=300, ge=0)
    optimizer: OptimizerConfig = OptimizerConfig(lr=0.03)


def training_labels(config: DeepConfig, data: ImageTaskData) -> Tensor:
    """Return the labels to learn from, (N, T) int64, -1 where there is none."""
    labels = data.task_labels("train")
    if config.others == "labelled":
        labels[data.train_labels < 0] = -1
    return labels


def check_tasks(config: DeepConfig, data: ImageTaskData) -> None:
    """Raise ValueError if a network could not be trained on the tasks."""
    check_square(*data.train_images.shape[2:])
    for task, labels in zip(data.tasks, training_labels(config, data).T, strict=True):
        classes = int((torch.unique(labels) >= 0).sum())
        if classes < 2:
            raise ValueError(
                f"training labels of at least 2 classes of task '{task}' must be visible, "
                f"got {classes}"
            )
