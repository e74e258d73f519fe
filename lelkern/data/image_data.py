"""The in-memory form of a data set, and its file."""

import os
import pickle
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from lelkern.data.errors import DataError
from lelkern.files import write_atomically


# eq=False: comparing tensors gives tensors, so a generated __eq__ could only raise.
@dataclass(frozen=True, eq=False)
class ImageData:
    """A labelled image data set, split into train and test.

    Attributes:
        name: What the data set is called in results and plots.
        train_images: (N, 3, H, W) uint8.
        train_labels: (N,) int64, indices into ``classes``.
        test_images: (M, 3, H, W) uint8.
        test_labels: (M,) int64.
        classes: Names of the classes, in the order of the labels.
        unlabeled_images: (U, 3, H, W) uint8, for data sets that come with some (STL-10).

    Raises:
        DataError: A tensor has another dtype or shape, or a label has no class.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    unlabeled_images: Tensor | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.train_images.shape[1:])
        self._check_images("train_images", shape)
        self._check_images("test_images", shape)
        if self.unlabeled_images is not None:
            self._check_images("unlabeled_images", shape)
        self._check_labels("train")
        self._check_labels("test")

    def _check_images(self, field: str, shape: tuple[int, ...]) -> None:
        images: Tensor = getattr(self, field)
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise DataError(
                f"{self.name}: {field} must be uint8 (N, 3, H, W), "
                f"got {images.dtype} {tuple(images.shape)}"
            )
        if images.shape[0] == 0:
            raise DataError(f"{self.name}: {field} is empty")
        if images.shape[1:] != shape:
            raise DataError(
                f"{self.name}: {field} are {tuple(images.shape[1:])}, but train_images are {shape}"
            )

    def _check_labels(self, split: str) -> None:
        images: Tensor = getattr(self, f"{split}_images")
        labels: Tensor = getattr(self, f"{split}_labels")
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            raise DataError(
                f"{self.name}: {split}_labels must be int64 ({len(images)},), "
                f"got {labels.dtype} {tuple(labels.shape)}"
            )
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(self.classes):
            raise DataError(
                f"{self.name}: {split}_labels must be in 0..{len(self.classes) - 1}, "
                f"got {low}..{high}"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the data set to one file, whole or not at all.

        The file appears under its name only when complete, so that another process never reads
        half of it and an interrupted run leaves no broken cache.

        Args:
            path: The file; its folder is created where missing.
        """
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        write_atomically(Path(path), lambda partial: torch.save(content, partial))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file written by :meth:`save`.

        The tensors are memory-mapped: loading is immediate, and worker processes that load the
        same file share its pages.

        Args:
            path: The file.

        Raises:
            DataError: The file does not exist or is not a saved data set.
        """
        try:
            return cls(**torch.load(path, mmap=True, weights_only=True))
        except FileNotFoundError as error:
            raise DataError(f"{path}: no such file") from error
        except (RuntimeError, pickle.UnpicklingError, EOFError, TypeError) as error:
            raise DataError(f"{path}: not a data set written by ImageData.save") from error
