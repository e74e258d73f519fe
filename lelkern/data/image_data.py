"""The in-memory form of a data set, and its file."""

import os
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from lelkern.data.config import BUDGET, DataConfig
from lelkern.data.draw import draw_split_by_class, stream
from lelkern.data.errors import DataError
from lelkern.data.form import UNIT, DataForm
from lelkern.data.resize import resize_and_crop
from lelkern.data.saving import load_content, save_content
from lelkern.data.sizes import count, samples


# eq=False: comparing tensors gives tensors, so a generated __eq__ could only raise.
@dataclass(frozen=True, eq=False)
class ImageData:
    """A labelled image data set, split into train and test, and validation where one is wanted.

    Attributes:
        name: what the data set is called in results and plots.
        train_images: (N, 3, H, W) uint8.
        train_labels: (N,) int64, indices into ``classes``, -1 where hidden.
        test_images: (M, 3, H, W) uint8.
        test_labels: (M,) int64.
        classes: names of the classes, in the order of the labels.
        unlabeled_images: (U, 3, H, W) uint8, for data sets that come with some (STL-10).
        val_images: (V, 3, H, W) uint8, set aside from the training images to select models with.
        val_labels: (V,) int64; given where ``val_images`` are.
        remarks: what is odd about the data and no error, a line each.

    Raises:
        DataError: a tensor has another dtype or shape, or a label has no class.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    unlabeled_images: Tensor | None = None
    val_images: Tensor | None = None
    val_labels: Tensor | None = None
    remarks: tuple[str, ...] = ()

    kind: ClassVar[str] = "images"
    options: ClassVar[frozenset[str]] = BUDGET | {"image_size", "val_fraction"}

    def __post_init__(self) -> None:
        shape = tuple(self.train_images.shape[1:])
        self._check_images("train_images", shape)
        self._check_images("test_images", shape)
        if self.unlabeled_images is not None:
            self._check_images("unlabeled_images", shape)
        if (self.val_images is None) != (self.val_labels is None):
            raise DataError(f"{self.name}: val_images and val_labels go together")
        if self.val_images is not None:
            self._check_images("val_images", shape)
            self._check_labels("val", lowest=0)
        self._check_labels("train", lowest=-1)
        self._check_labels("test", lowest=0)

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

    def _check_labels(self, split: str, *, lowest: int) -> None:
        images: Tensor = getattr(self, f"{split}_images")
        labels: Tensor = getattr(self, f"{split}_labels")
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            raise DataError(
                f"{self.name}: {split}_labels must be int64 ({len(images)},), "
                f"got {labels.dtype} {tuple(labels.shape)}"
            )
        low, high = int(labels.min()), int(labels.max())
        if low < lowest or high >= len(self.classes):
            raise DataError(
                f"{self.name}: {split}_labels must be in {lowest}..{len(self.classes) - 1}, "
                f"got {low}..{high}"
            )

    def form(self) -> DataForm:
        """Return the shape of an image and the classes."""
        shape = tuple(self.train_images.shape[1:])
        return DataForm(
            kind=self.kind, sample=shape, scale=UNIT, tasks=("class",), classes=(self.classes,)
        )

    def describe(self) -> str:
        """Return such as ``10 classes, 1,297 training and 500 test images, 24x24``.

        What is odd about the data follows.
        """
        height, width = self.train_images.shape[2:]
        val = None if self.val_images is None else len(self.val_images)
        parts = [
            count(len(self.classes), "class", "classes"),
            samples(len(self.train_images), val, len(self.test_images), "images"),
            f"{width}x{height}",
        ]
        if self.unlabeled_images is not None:
            parts.append(f"{len(self.unlabeled_images):,} unlabelled")
        return "; ".join([", ".join(parts), *self.remarks])

    def labels(self) -> Tensor:
        """Return ``train_labels``: (N,) int64, -1 where hidden."""
        return self.train_labels

    def with_labels(self, labels: Tensor) -> Self:
        """Return the same images with other training labels.

        Args:
            labels: (N,) int64, -1 where hidden.

        Raises:
            DataError: the labels don't fit the images or the classes.
        """
        return replace(self, train_labels=labels)

    def prepare(self, config: DataConfig) -> Self:
        """Return the images in ``config.image_size``, ``config.val_fraction`` of them set aside.

        Raises:
            DataError: a class is too small to set images aside.
        """
        data = self if config.image_size is None else self.resized(config.image_size)
        return data.with_validation(config.val_fraction, config.seed)

    def resized(self, size: int) -> Self:
        """Return the data with images of (size, size); see :mod:`lelkern.data.resize`."""
        return replace(
            self,
            train_images=resize_and_crop(self.train_images, size),
            test_images=resize_and_crop(self.test_images, size),
            unlabeled_images=_resized(self.unlabeled_images, size),
            val_images=_resized(self.val_images, size),
        )

    def with_validation(self, fraction: float, seed: int) -> Self:
        """Return the data with a share of the training images set aside as validation images.

        Args:
            fraction: share of each class in [0, 1), at least one image; 0 sets none aside.
            seed: decides which.

        Raises:
            DataError: a class has one training image, or there are validation images already.
        """
        if fraction == 0:
            return self
        if self.val_images is not None:
            raise DataError(f"{self.name}: has validation images already")
        train, val = draw_split_by_class(
            self.train_labels, fraction, stream("validation", seed), self.classes, self.name
        )
        return replace(self, **self._parts(train, val))

    def _parts(self, train: Tensor, val: Tensor) -> dict[str, Any]:
        """Return the fields of which training images go to the validation images."""
        return {
            "train_images": self.train_images[train],
            "train_labels": self.train_labels[train],
            "val_images": self.train_images[val],
            "val_labels": self.train_labels[val],
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the data set to one file; see :func:`lelkern.data.saving.save_content`."""
        save_content(self, path, {field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file written by :meth:`save`; its tensors are memory-mapped.

        Raises:
            DataError: no such file, or it is damaged or holds something else.
        """
        return load_content(cls, path, lambda content: cls(**content), numpy=False)


def _resized(images: Tensor | None, size: int) -> Tensor | None:
    return None if images is None else resize_and_crop(images, size)
