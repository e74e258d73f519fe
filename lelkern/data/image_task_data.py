"""Images with several labels each, one a task."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lelkern.data.errors import DataError
from lelkern.data.form import DataForm
from lelkern.data.image_data import ImageData
from lelkern.data.sizes import count


# eq=False: comparing tensors gives tensors, so a generated __eq__ could only raise.
@dataclass(frozen=True, eq=False, kw_only=True)
class ImageTaskData(ImageData):
    """Labelled images whose every image has labels of further tasks as well.

    The labels and classes of :class:`ImageData` are those of the first task, so that a method that
    knows one task takes this data too. A label budget hides labels of the first task only.

    Attributes:
        task: name of the first task.
        further: names of the F further tasks.
        further_classes: names of the classes of each of them.
        train_further: (N, F) int64, indices into the classes of each, -1 where there is no label.
        test_further: (M, F) likewise.
        val_further: (V, F) likewise; given where ``val_images`` are.

    Raises:
        DataError: a tensor has another dtype or shape, a label has no class, or two tasks have one
            name.
    """

    task: str
    further: tuple[str, ...]
    further_classes: tuple[tuple[str, ...], ...]
    train_further: Tensor
    test_further: Tensor
    val_further: Tensor | None = None

    kind: ClassVar[str] = "image tasks"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.tasks)) < len(self.tasks):
            raise DataError(f"{self.name}: tasks must have different names, got {self.tasks}")
        if len(self.further) != len(self.further_classes):
            raise DataError(
                f"{self.name}: {len(self.further)} further tasks and classes of "
                f"{len(self.further_classes)} don't fit together"
            )
        if (self.val_images is None) != (self.val_further is None):
            raise DataError(f"{self.name}: val_images and val_further go together")
        for split in ("train", "test", "val"):
            if getattr(self, f"{split}_further") is not None:
                self._check_further(split)

    def _check_further(self, split: str) -> None:
        labels: Tensor = getattr(self, f"{split}_further")
        shape = (len(getattr(self, f"{split}_images")), len(self.further))
        if labels.dtype != torch.int64 or labels.shape != shape:
            raise DataError(
                f"{self.name}: {split}_further must be int64 {shape}, "
                f"got {labels.dtype} {tuple(labels.shape)}"
            )
        for task, classes, column in zip(self.further, self.further_classes, labels.T, strict=True):
            low, high = int(column.min()), int(column.max())
            if low < -1 or high >= len(classes):
                raise DataError(
                    f"{self.name}: {split}_further of task '{task}' must be in "
                    f"-1..{len(classes) - 1}, got {low}..{high}"
                )

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of all T = 1 + F tasks."""
        return (self.task, *self.further)

    @property
    def task_classes(self) -> tuple[tuple[str, ...], ...]:
        """The names of the classes of all tasks."""
        return (self.classes, *self.further_classes)

    def task_labels(self, split: str) -> Tensor:
        """Return the labels of all tasks, (N, T) int64, -1 where there is none.

        Args:
            split: ``train``, ``val`` or ``test``; one that has images.
        """
        first: Tensor = getattr(self, f"{split}_labels")
        return torch.cat([first[:, None], getattr(self, f"{split}_further")], dim=1)

    def form(self) -> DataForm:
        """Return the shape of an image and the classes of all tasks."""
        update = {"tasks": self.tasks, "classes": self.task_classes}
        return super().form().model_copy(update=update)

    def describe(self) -> str:
        """Return such as ``10 classes, ..., 24x24; 2 further tasks: colour (6), place (9)``."""
        classes = zip(self.further, self.further_classes, strict=True)
        listed = ", ".join(f"{task} ({len(names)})" for task, names in classes)
        tasks = count(len(self.further), "further task", "further tasks")
        return f"{super().describe()}; {tasks}: {listed}"

    def _parts(self, train: Tensor, val: Tensor) -> dict[str, Any]:
        further = {
            "train_further": self.train_further[train],
            "val_further": self.train_further[val],
        }
        return super()._parts(train, val) | further
