"""Tables: samples with a fixed list of features, and a class or a target each."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lelkern.data.arrays import as_array, check_features, check_targets, feature_names
from lelkern.data.config import BUDGET, DataConfig
from lelkern.data.draw import draw_split, draw_split_by_class, stream
from lelkern.data.errors import DataError
from lelkern.data.form import UNCHANGED, DataForm
from lelkern.data.saving import load_content, save_content
from lelkern.data.sizes import count, samples
from lelkern.torch_settings import usual_settings


# eq=False: comparing arrays gives arrays, so a generated __eq__ could only raise.
@dataclass(frozen=True, eq=False)
class TableData:
    """A table in NumPy arrays, split into train and test, and validation where one is wanted.

    Attributes:
        name: what the table is called in results and plots.
        train_x: (N, D) float64, finite.
        train_y: (N,) int64 indices into ``classes``, -1 where hidden; or (N,) float64 targets.
        test_x: (M, D) float64.
        test_y: (M,) like ``train_y``, with nothing hidden.
        classes: names of the classes, in the order of the labels; empty for targets.
        features: names of the D columns.
        val_x: (V, D) float64, set aside from the training samples to select models with.
        val_y: (V,) like ``test_y``; given where ``val_x`` is.

    Raises:
        DataError: an array has another dtype or shape, a value is not finite, or a label has no
            class.
    """

    name: str
    train_x: NDArray[np.float64]
    train_y: NDArray[Any]
    test_x: NDArray[np.float64]
    test_y: NDArray[Any]
    classes: tuple[str, ...]
    features: tuple[str, ...]
    val_x: NDArray[np.float64] | None = None
    val_y: NDArray[Any] | None = None

    kind: ClassVar[str] = "table"
    options: ClassVar[frozenset[str]] = BUDGET | {"val_fraction"}

    def __post_init__(self) -> None:
        if (self.val_x is None) != (self.val_y is None):
            raise DataError(f"{self.name}: val_x and val_y go together")
        for split in ("train", "val", "test"):
            x, y = getattr(self, f"{split}_x"), getattr(self, f"{split}_y")
            if x is None:
                continue
            check_features(x, f"{self.name}: {split}_x", len(self.features))
            if self.classes:
                self._check_labels(y, split, len(x))
            else:
                check_targets(y, f"{self.name}: {split}_y", len(x))

    def _check_labels(self, y: NDArray[Any], split: str, n: int) -> None:
        if y.dtype != np.int64 or y.shape != (n,):
            raise DataError(f"{self.name}: {split}_y must be int64 ({n},), got {y.dtype} {y.shape}")
        lowest, low, high = -1 if split == "train" else 0, int(y.min()), int(y.max())
        if low < lowest or high >= len(self.classes):
            raise DataError(
                f"{self.name}: {split}_y must be in {lowest}..{len(self.classes) - 1}, "
                f"got {low}..{high}"
            )

    @classmethod
    def from_arrays(
        cls,
        name: str,
        x: ArrayLike,
        y: ArrayLike,
        *,
        test_fraction: float,
        seed: int,
        classes: Sequence[str] = (),
        features: Sequence[str] = (),
    ) -> Self:
        """Return a table whose test samples are drawn, class by class where there are classes.

        Args:
            name: what the table is called.
            x: (N, D) numbers.
            y: (N,) indices into ``classes``, or targets where there are no classes.
            test_fraction: share of the samples, or of each class, in (0, 1); at least one.
            seed: decides the draw.
            classes: names of the classes; none for targets.
            features: names of the D columns; by default ``x1`` to ``xD``.

        Raises:
            DataError: the arrays don't fit together, or a class has one sample.
        """
        x = as_array(x, np.float64, f"{name}: x")
        y = as_array(y, np.int64 if classes else np.float64, f"{name}: y")
        check_features(x, f"{name}: x")
        if y.shape != x.shape[:1]:
            raise DataError(f"{name}: y must be ({len(x)},) as x is {x.shape}, got {y.shape}")
        features = tuple(features) or feature_names(x)
        whole = cls(name, x, y, x, y, tuple(classes), features)
        train, test = whole._draw(test_fraction, stream("test", seed))
        return replace(whole, train_x=x[train], train_y=y[train], test_x=x[test], test_y=y[test])

    def _draw(self, fraction: float, generator: torch.Generator) -> tuple[Any, Any]:
        """Draw the rows of the training samples that stay and of those that go."""
        if self.classes:
            labels = self.labels()
            assert labels is not None
            split = draw_split_by_class(labels, fraction, generator, self.classes, self.name)
        elif len(self.train_y) < 2:
            raise DataError(f"{self.name}: has 1 sample; a split needs at least 2")
        else:
            split = draw_split(len(self.train_y), fraction, generator)
        return split[0].numpy(), split[1].numpy()

    def form(self) -> DataForm:
        """Return the columns, and the classes if there are any."""
        return DataForm(
            kind=self.kind,
            sample=self.train_x.shape[1:],
            scale=UNCHANGED,
            tasks=("class" if self.classes else "target",),
            classes=(self.classes,) if self.classes else (),
            features=self.features,
        )

    def describe(self) -> str:
        """Return such as ``3 classes, 120 training and 30 test samples, 4 features``."""
        val = None if self.val_x is None else len(self.val_x)
        what = count(len(self.classes), "class", "classes") if self.classes else "regression"
        sizes = samples(len(self.train_x), val, len(self.test_x), "samples")
        return f"{what}, {sizes}, {count(len(self.features), 'feature', 'features')}"

    @usual_settings()
    def labels(self) -> Tensor | None:
        """Return ``train_y`` as a tensor: (N,) int64, -1 where hidden; None for targets."""
        return torch.tensor(self.train_y) if self.classes else None

    def with_labels(self, labels: Tensor) -> Self:
        """Return the same table with other training labels.

        Args:
            labels: (N,) int64, -1 where hidden.

        Raises:
            DataError: the labels don't fit the samples or the classes, or there are no classes.
        """
        if not self.classes:
            raise DataError(f"{self.name}: has targets rather than classes, so no labels to hide")
        return replace(self, train_y=labels.numpy())

    def prepare(self, config: DataConfig) -> Self:
        """Return the table with ``config.val_fraction`` of the training samples set aside.

        Raises:
            DataError: a class is too small, or there are validation samples already.
        """
        if config.val_fraction == 0:
            return self
        if self.val_x is not None:
            raise DataError(f"{self.name}: has validation samples already")
        train, val = self._draw(config.val_fraction, stream("validation", config.seed))
        return replace(
            self,
            train_x=self.train_x[train],
            train_y=self.train_y[train],
            val_x=self.train_x[val],
            val_y=self.train_y[val],
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to one file; see :func:`lelkern.data.saving.save_content`."""
        save_content(self, path, {field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file written by :meth:`save`; its arrays are memory-mapped.

        Raises:
            DataError: no such file, or it is damaged or holds something else.
        """
        return load_content(cls, path, lambda content: cls(**content), numpy=True)
