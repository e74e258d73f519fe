"""Tables and tasks of files that hold named arrays.

Such a file holds ``X`` (N, D) and ``y`` (N,), of which test samples are drawn; or ``train_x``,
``train_y``, ``test_x``, ``test_y`` and perhaps ``val_x``, ``val_y``. If y has several columns,
(N, T), or is a list of arrays, each is a regression task; of a list of y, X is a list as well, or
shared by all. Otherwise text, booleans and integers are classes, floating-point numbers targets.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lelkern.config import nearest
from lelkern.data.arrays import as_array, feature_names
from lelkern.data.classes import encode
from lelkern.data.errors import DataError
from lelkern.data.registry import DataSet, file_hash
from lelkern.data.table_data import TableData
from lelkern.data.task_data import Task, TaskData

VERSION = 1
"""Raised whenever the same arrays would give other data, so that caches notice."""

Value = NDArray[Any] | list[NDArray[Any]]
Read = Callable[[Collection[str]], dict[str, Value]]
"""Takes names and returns the arrays of these names."""

_VALIDATION = ("val_x", "val_y")
_SPLIT = ("train_x", "train_y", "test_x", "test_y")


def open_arrays(
    path: Path, target: str | None, *, format: str, names: Collection[str], read: Read
) -> DataSet:
    """Return the data set of a file; only what is to be predicted is read yet.

    Args:
        path: the file.
        target: the array that is to be predicted; by default ``y`` or ``Y``.
        format: what the format is called.
        names: of all arrays in the file.
        read: reads some of them.

    Raises:
        DataError: the arrays are not there.
    """
    load: Callable[..., TableData | TaskData]
    if target is None and set(_SPLIT) <= set(names):
        several = _several(read(["train_y"])["train_y"])
        given = _given_tasks if several else _given_table

        def load() -> TableData | TaskData:
            return given(path, read([name for name in (*_SPLIT, *_VALIDATION) if name in names]))
    else:
        _, y_name = _names(path, names, target)
        several = _several(read([y_name])[y_name])
        load = partial(_draw_tasks if several else _draw_table, path, names, read)
    return DataSet(
        name=format,
        kind=TaskData if several else TableData,
        summary="regression tasks" if several else "a table",
        version=VERSION,
        read=load,
        content=lambda root: [file_hash(path)],
    )


def _names(path: Path, names: Collection[str], target: str | None) -> tuple[str, str]:
    """Return the names in this file of the samples and of what is to be predicted."""
    found = []
    for wanted in (("X", "x"), ("y", "Y") if target is None else (target,)):
        name = next((name for name in wanted if name in names), None)
        if name is None:
            hint = nearest(wanted[0], names) if names else "it has no arrays"
            raise DataError(f"{path}: no array '{wanted[0]}'; {hint}")
        found.append(name)
    return found[0], found[1]


def _several(y: Value) -> bool:
    return isinstance(y, list) or (y.ndim == 2 and 1 not in y.shape)


def _draw_table(
    path: Path,
    names: Collection[str],
    read: Read,
    *,
    target: str | None,
    seed: int,
    test_fraction: float,
) -> TableData:
    x_name, y_name = _names(path, names, target)
    arrays = read([x_name, y_name])
    y, classes = encode(_column(path, y_name, arrays[y_name]), str(path))
    data = TableData.from_arrays(
        str(path),
        _numbers(path, x_name, arrays[x_name]),
        y,
        test_fraction=test_fraction,
        seed=seed,
        classes=classes,
    )
    return replace(data, name=path.stem)


def _draw_tasks(
    path: Path,
    names: Collection[str],
    read: Read,
    *,
    target: str | None,
    seed: int,
    test_fraction: float,
) -> TaskData:
    x_name, y_name = _names(path, names, target)
    arrays = read([x_name, y_name])
    x = arrays[x_name]
    data = TaskData.from_arrays(
        str(path),
        x if isinstance(x, list) else _numbers(path, x_name, x),
        _targets(path, y_name, arrays[y_name]),
        test_fraction=test_fraction,
        seed=seed,
    )
    return replace(data, name=path.stem)


def _given_table(path: Path, arrays: dict[str, Value]) -> TableData:
    parts = [name.removesuffix("_y") for name in arrays if name.endswith("_y")]
    columns = [_column(path, f"{part}_y", arrays[f"{part}_y"]) for part in parts]
    if len({column.dtype.kind for column in columns}) > 1:
        types = ", ".join(f"{p}_y is {c.dtype}" for p, c in zip(parts, columns, strict=True))
        raise DataError(f"{path}: {types}, where all must be numbers of one kind, or text")
    y, classes = encode(np.concatenate(columns), str(path))
    ends = np.cumsum([len(column) for column in columns])[:-1]
    fields: dict[str, Any] = dict(
        zip([f"{part}_y" for part in parts], np.split(y, ends), strict=True)
    )
    for part in parts:
        fields[f"{part}_x"] = _numbers(path, f"{part}_x", arrays[f"{part}_x"])
    features = feature_names(fields["train_x"])
    data = TableData(name=str(path), classes=classes, features=features, **fields)
    return replace(data, name=path.stem)


def _given_tasks(path: Path, arrays: dict[str, Value]) -> TaskData:
    parts = [name.removesuffix("_y") for name in arrays if name.endswith("_y")]
    targets = {part: _targets(path, f"{part}_y", arrays[f"{part}_y"]) for part in parts}
    number = len(targets["train"])
    inputs = {part: _inputs(path, f"{part}_x", arrays[f"{part}_x"], number) for part in parts}
    for part in parts:
        if not len(targets[part]) == len(inputs[part]) == number:
            raise DataError(
                f"{path}: {number} tasks in train_y, but {len(inputs[part])} in {part}_x and "
                f"{len(targets[part])} in {part}_y"
            )
    tasks = []
    for i in range(number):
        fields = {f"{part}_x": inputs[part][i] for part in parts}
        fields |= {f"{part}_y": targets[part][i] for part in parts}
        try:
            tasks.append(Task(str(i + 1), **fields))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
    same = len({task.train_x.shape[1] for task in tasks}) == 1
    return TaskData(path.stem, tuple(tasks), feature_names(tasks[0].train_x) if same else None)


def _numbers(path: Path, name: str, value: Value) -> NDArray[np.float64]:
    """Return a float64 array, whatever numbers it was saved as."""
    if isinstance(value, list):
        raise DataError(f"{path}: {name} is a list of {len(value)} arrays rather than one")
    return as_array(value, np.float64, f"{path}: {name}")


def _column(path: Path, name: str, value: Value) -> NDArray[Any]:
    """Return (N,) of any type; MATLAB knows only (N, 1) and (1, N)."""
    if isinstance(value, list) or not (value.ndim == 1 or (value.ndim == 2 and 1 in value.shape)):
        shape = f"a list of {len(value)}" if isinstance(value, list) else value.shape
        raise DataError(f"{path}: {name} must be (N,), got {shape}")
    return value.reshape(-1)


def _targets(path: Path, name: str, value: Value) -> list[NDArray[np.float64]]:
    """Return the targets of each task, (N,) each."""
    columns = value if isinstance(value, list) else list(value.T)
    return [
        as_array(_column(path, name, column), np.float64, f"{path}: {name}") for column in columns
    ]


def _inputs(path: Path, name: str, value: Value, tasks: int) -> list[NDArray[np.float64]]:
    """Return the samples of each task; one array is shared by all."""
    if isinstance(value, list):
        return [_numbers(path, name, part) for part in value]
    return [_numbers(path, name, value)] * tasks
