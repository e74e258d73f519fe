"""Batches of images with labels of several tasks, some of which may be missing."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lelkern.evaluate.features import to_unit
from lelkern.methods.training import unbroken_batches


class TaskBatch(NamedTuple):
    """Images and what is known of them.

    Attributes:
        x: images (N, 3, H, W), float in [0, 1].
        y: their labels of T tasks, (N, T) int64, -1 where there is none.
    """

    x: Tensor
    y: Tensor


def task_batches(images: Tensor, labels: Tensor, size: int, steps: int) -> Iterator[TaskBatch]:
    """Yield a batch for every step, with images for every task.

    For each task as many images are drawn from those with its label, epoch after epoch, so that a
    task with few labels sees each of them often, and none is without a label in any batch.

    Args:
        images: (M, 3, H, W) uint8.
        labels: (M, T) int64, -1 where there is none; each task has one at least.
        size: images a task; N is T times as many.
        steps: how many batches.
    """
    known = [torch.nonzero(column >= 0)[:, 0].cpu() for column in labels.T]
    streams = [unbroken_batches(len(rows), size, steps) for rows in known]
    for drawn in zip(*streams, strict=True):
        i = torch.cat([rows[chosen] for rows, chosen in zip(known, drawn, strict=True)])
        yield TaskBatch(to_unit(images[i]), labels[i])
