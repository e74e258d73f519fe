"""Several regression tasks, to be learned together."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NoReturn, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lelkern.data.arrays import as_array, check_features, check_targets, feature_names
from lelkern.data.config import DataConfig
from lelkern.data.draw import draw_split, stream
from lelkern.data.errors import DataError
from lelkern.data.form import UNCHANGED, DataForm
from lelkern.data.saving import load_content, save_content
from lelkern.data.sizes import count, samples
from lelkern.torch_settings import usual_settings

_Rows = tuple[NDArray[Any], NDArray[Any]]


# eq=False: comparing arrays gives arrays, so a generated __eq__ could only raise.
@dataclass(frozen=True, eq=False)
class Task:
    """One regression task.

    Attributes:
        name: what the task is called.
        train_x: (N, D) float64, finite.
        train_y: (N,) float64, finite.
        test_x: (M, D) float64.
        test_y: (M,) float64.
        val_x: (V, D) float64, set aside from the training samples to select models with.
        val_y: (V,) float64; given where ``val_x`` is.

    Raises:
        DataError: an array has another dtype or shape, or a value is not finite.
    """

    name: str
    train_x: NDArray[np.float64]
    train_y: NDArray[np.float64]
    test_x: NDArray[np.float64]
    test_y: NDArray[np.float64]
    val_x: NDArray[np.float64] | None = None
    val_y: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if (self.val_x is None) != (self.val_y is None):
            raise DataError(f"task '{self.name}': val_x and val_y go together")
        features = self.train_x.shape[-1] if self.train_x.ndim == 2 else None
        for split in ("train", "val", "test"):
            x, y = getattr(self, f"{split}_x"), getattr(self, f"{split}_y")
            if x is not None:
                check_features(x, f"task '{self.name}': {split}_x", features)
                check_targets(y, f"task '{self.name}': {split}_y", len(x))


@dataclass(frozen=True, eq=False)
class TaskData:
    """A list of regression tasks, over the same features or not.

    Attributes:
        name: what the tasks together are called in results and plots.
        tasks: at least one.
        features: names of the D columns where all tasks have the same features, else None.
        coefficients: (D, T) float64, those of the linear functions that the targets of generated
            tasks are made of: to judge by, not to learn from.
        clusters: (T,) int64, which cluster each of the generated tasks belongs to, from 0; to judge
            by as well.

    Raises:
        DataError: there is no task, one has not as many columns as there are features, or
            coefficients or clusters don't fit the tasks.
    """

    name: str
    tasks: tuple[Task, ...]
    features: tuple[str, ...] | None
    coefficients: NDArray[np.float64] | None = None
    clusters: NDArray[np.int64] | None = None

    kind: ClassVar[str] = "tasks"
    options: ClassVar[frozenset[str]] = frozenset({"val_fraction", "samples_per_task"})

    def __post_init__(self) -> None:
        if not self.tasks:
            raise DataError(f"{self.name}: no tasks")
        for task in self.tasks:
            if self.features is not None and task.train_x.shape[1] != len(self.features):
                raise DataError(
                    f"{self.name}: task '{task.name}' has {task.train_x.shape[1]} columns, "
                    f"but there are {len(self.features)} features"
                )
        columns = {task.train_x.shape[1] for task in self.tasks}
        number = len(self.tasks)
        for name, wanted in (("coefficients", (*columns, number)), ("clusters", (number,))):
            values = getattr(self, name)
            if values is not None and values.shape != wanted:
                raise DataError(f"{self.name}: {name} must be {wanted}, got {values.shape}")

    @classmethod
    def from_arrays(
        cls,
        name: str,
        x: NDArray[Any] | Sequence[ArrayLike],
        y: Sequence[ArrayLike],
        *,
        test_fraction: float,
        seed: int,
        names: Sequence[str] = (),
        features: Sequence[str] = (),
    ) -> Self:
        """Return tasks whose test samples are drawn.

        Args:
            name: what the tasks together are called.
            x: a list of T arrays (N_t, D_t); or one array (N, D) that all tasks share, which are
                then split alike.
            y: a list of T arrays (N_t,).
            test_fraction: share of the samples of each task in (0, 1); at least one.
            seed: decides the draw.
            names: of the T tasks; by default ``1`` to ``T``.
            features: names of the D columns, where all tasks have the same; by default ``x1`` to
                ``xD``, or none where tasks differ in D.

        Raises:
            DataError: the arrays don't fit together, or a task has one sample.
        """
        names = tuple(names) or tuple(str(i + 1) for i in range(len(y)))
        inputs = [x] * len(y) if isinstance(x, np.ndarray) else list(x)
        if not len(inputs) == len(y) == len(names):
            raise DataError(
                f"{name}: {len(inputs)} arrays x, {len(y)} arrays y and {len(names)} names "
                "don't fit together"
            )
        tasks = []
        for title, task_x, task_y in zip(names, inputs, y, strict=True):
            all_x = as_array(task_x, np.float64, f"{name}: task '{title}': x")
            all_y = as_array(task_y, np.float64, f"{name}: task '{title}': y")
            check_features(all_x, f"{name}: task '{title}': x")
            check_targets(all_y, f"{name}: task '{title}': y", len(all_x))
            tasks.append(Task(title, all_x, all_y, all_x, all_y))
        if not features and len({task.train_x.shape[1] for task in tasks}) == 1:
            features = feature_names(tasks[0].train_x)
        whole = cls(name, tuple(tasks), tuple(features) or None)
        parts = []
        for task, (train, test) in whole._draw(test_fraction, stream("test", seed)):
            all_x, all_y = task.train_x, task.train_y
            parts.append(Task(task.name, all_x[train], all_y[train], all_x[test], all_y[test]))
        return replace(whole, tasks=tuple(parts))

    @property
    def shared_inputs(self) -> bool:
        """Whether all tasks have the same training samples, with other targets."""
        first = self.tasks[0].train_x
        return all(np.array_equal(task.train_x, first) for task in self.tasks)

    def _draw(self, fraction: float, generator: torch.Generator) -> list[tuple[Task, _Rows]]:
        """Draw the training rows of each task that stay and that go: the same if inputs are."""
        for task in self.tasks:
            if len(task.train_x) < 2:
                raise DataError(
                    f"{self.name}: task '{task.name}' has 1 sample; a split needs at least 2"
                )
        shared = self.shared_inputs
        drawn: list[tuple[Task, _Rows]] = []
        for task in self.tasks:
            if drawn and shared:
                rows = drawn[0][1]
            else:
                rest, part = draw_split(len(task.train_x), fraction, generator)
                rows = rest.numpy(), part.numpy()
            drawn.append((task, rows))
        return drawn

    def form(self) -> DataForm:
        """Return the tasks, and the columns if all of them have the same."""
        shapes = {task.train_x.shape[1:] for task in self.tasks}
        return DataForm(
            kind=self.kind,
            sample=shapes.pop() if len(shapes) == 1 else (),
            scale=UNCHANGED,
            tasks=tuple(task.name for task in self.tasks),
            features=self.features or (),
        )

    def describe(self) -> str:
        """Return such as ``139 tasks, 12,290 training and 3,072 test samples, 28 features``."""
        validation = [len(task.val_x) for task in self.tasks if task.val_x is not None]
        sizes = samples(
            sum(len(task.train_x) for task in self.tasks),
            sum(validation) if validation else None,
            sum(len(task.test_x) for task in self.tasks),
            "samples",
        )
        if self.features is None:
            widths = [task.train_x.shape[1] for task in self.tasks]
            features = f"{min(widths):,} to {max(widths):,} features"
        else:
            features = count(len(self.features), "feature", "features")
        return f"{count(len(self.tasks), 'task', 'tasks')}, {sizes}, {features}"

    def labels(self) -> None:
        """Return None: targets are no classes."""

    def with_labels(self, labels: Tensor) -> NoReturn:
        """Raise a DataError: targets are no classes."""
        raise DataError(f"{self.name}: has targets rather than classes, so no labels to hide")

    def prepare(self, config: DataConfig) -> Self:
        """Return the tasks with ``config.samples_per_task`` of their training samples.

        Of these ``config.val_fraction`` are set aside.

        Raises:
            DataError: a task has one training sample, or validation samples already.
        """
        return self._first(config)._with_validation(config)

    @usual_settings()
    def _first(self, config: DataConfig) -> Self:
        """Return the tasks with no more training samples than ``config.samples_per_task``."""
        if config.samples_per_task is None:
            return self
        # The orders of all tasks, so that a number of samples is the start of every larger one.
        generator = stream("samples per task", config.seed)
        shared, order = self.shared_inputs, None
        tasks = []
        for task in self.tasks:
            if order is None or not shared:
                order = torch.randperm(len(task.train_x), generator=generator)
            rows = order[: config.samples_per_task].sort().values.numpy()
            tasks.append(replace(task, train_x=task.train_x[rows], train_y=task.train_y[rows]))
        return replace(self, tasks=tuple(tasks))

    def _with_validation(self, config: DataConfig) -> Self:
        if config.val_fraction == 0:
            return self
        if any(task.val_x is not None for task in self.tasks):
            raise DataError(f"{self.name}: has validation samples already")
        tasks = []
        for task, (train, val) in self._draw(
            config.val_fraction, stream("validation", config.seed)
        ):
            x, y = task.train_x, task.train_y
            tasks.append(
                replace(task, train_x=x[train], train_y=y[train], val_x=x[val], val_y=y[val])
            )
        return replace(self, tasks=tuple(tasks))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tasks to one file; see :func:`lelkern.data.saving.save_content`."""
        tasks = [
            {field.name: getattr(task, field.name) for field in fields(task)} for task in self.tasks
        ]
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        save_content(self, path, {**content, "tasks": tasks})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file written by :meth:`save`; its arrays are memory-mapped.

        Raises:
            DataError: no such file, or it is damaged or holds something else.
        """
        return load_content(cls, path, cls._from_content, numpy=True)

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> Self:
        return cls(**{**content, "tasks": tuple(Task(**task) for task in content["tasks"])})
