"""Read a table, or regression tasks, from a ``.csv`` file.

The first row names the columns. One of them is what is to be predicted, the last unless ``target``
names another; all others are features, and numbers. Text and whole numbers to be predicted are
classes; where all are numbers, and some have a decimal point, they are targets. Columns are
separated by commas, semicolons or tabs, whichever the first row has most of.

Where ``task`` names a column, it says by text or whole numbers which task each row belongs to: a
task is the rows that have one name, wherever they stand. What is to be predicted are targets then,
whole numbers too.

Names of classes and tasks stay as they are written, letter by letter but for quotes and blanks
around them. Whole numbers only decide their order, and may not be written in two ways: ``007``
beside ``7`` may be another name, or the same without its zeros, as spreadsheets write it.
"""

import csv
import math
import re
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lelkern.config import nearest
from lelkern.data.classes import check_classes
from lelkern.data.errors import DataError
from lelkern.data.registry import DataSet, file_hash
from lelkern.data.table_data import TableData
from lelkern.data.task_data import TaskData

# Of any length that Python reads as a number.
_WHOLE = re.compile(r"[+-]?\d{1,4000}")

VERSION = 3
"""Raised whenever the same file would give another table, so that caches notice."""


def open_csv(path: Path, target: str | None, task: str | None) -> DataSet:
    """Return the data set of a ``.csv`` file, which is not read yet.

    Args:
        path: the file.
        target: the column to be predicted; checked when the file is read.
        task: the column that names tasks, likewise; None for a table.
    """
    return DataSet(
        name="csv",
        kind=TableData if task is None else TaskData,
        summary="a table" if task is None else "regression tasks",
        version=VERSION,
        read=partial(read_csv if task is None else read_csv_tasks, path),
        content=lambda root: [file_hash(path)],
    )


def read_csv(path: Path, *, target: str | None, seed: int, test_fraction: float) -> TableData:
    """Read a table.

    Args:
        path: the file.
        target: the column to be predicted; by default the last.
        seed: decides which samples are test samples.
        test_fraction: share of the test samples, of each class where there are classes.

    Raises:
        DataError: the file is no such table, or a number names classes in two spellings; names the
            file and, as far as there are such, the row (of the header: 1) and the column.
    """
    header, rows = _read_rows(path)
    column = len(header) - 1 if target is None else _column(path, header, target)
    features = [i for i in range(len(header)) if i != column]
    y, classes = _labels(path, header, rows, column)
    data = TableData.from_arrays(
        str(path),
        _numbers(path, header, rows, features),
        y,
        test_fraction=test_fraction,
        seed=seed,
        classes=classes,
        features=[header[i] for i in features],
    )
    return replace(data, name=path.stem)


def read_csv_tasks(
    path: Path, *, target: str | None, task: str, seed: int, test_fraction: float
) -> TaskData:
    """Read regression tasks, in the order of their names: by size if all are whole, or by letters.

    Args:
        path: the file.
        target: the column to be predicted; by default the last that does not name tasks.
        task: the column that names the task of each row.
        seed: decides which samples are test samples.
        test_fraction: share of the test samples of each task.

    Raises:
        DataError: the file is no such table, a task has one row, or a number names tasks in two
            spellings; names the file and, as far as there are such, the task, the row (of the
            header: 1) and the column.
    """
    header, rows = _read_rows(path)
    naming = _column(path, header, task)
    others = [i for i in range(len(header)) if i != naming]
    column = others[-1] if target is None else _column(path, header, target)
    features = [i for i in others if i != column]
    if column == naming:
        raise DataError(f"{path}: column '{task}' names the tasks and cannot be predicted")
    if not features:
        raise DataError(f"{path}: no column besides '{task}' and '{header[column]}' is a feature")
    members = _members(path, rows, task, naming, "tasks")
    if _are_targets(members):
        raise DataError(f"{path}: column '{task}' must name tasks by text or whole numbers")
    x = _numbers(path, header, rows, features)
    y = _numbers(path, header, rows, [column])[:, 0]
    data = TaskData.from_arrays(
        str(path),
        [x[of_task] for of_task in members.values()],
        [y[of_task] for of_task in members.values()],
        test_fraction=test_fraction,
        seed=seed,
        names=list(members),
        features=[header[i] for i in features],
    )
    return replace(data, name=path.stem)


_Rows = list[tuple[int, list[str]]]
"""Numbers of rows, as a spreadsheet counts them, and their cells."""


def _read_rows(path: Path) -> tuple[list[str], _Rows]:
    """Read the names of the columns and the rows below, blank ones left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=first.count), strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = [(number, cells) for number, cells in enumerate(reader, start=2) if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error})") from error
    if len(header) < 2:
        raise DataError(f"{path}: needs a first row that names at least two columns")
    for i, name in enumerate(header):
        if not name or _parse(name) is not None:
            raise DataError(f"{path}: row 1 must name the columns; column {i + 1} is '{name}'")
        if name in header[:i]:
            raise DataError(f"{path}: two columns are called '{name}'")
    if not rows:
        raise DataError(f"{path}: no rows below the names of the columns")
    for number, cells in rows:
        if len(cells) != len(header):
            raise DataError(
                f"{path}: row {number} has {len(cells)} cells, but there are {len(header)} columns"
            )
    return header, rows


def _column(path: Path, header: list[str], name: str) -> int:
    """Return which column has a name."""
    if name not in header:
        raise DataError(f"{path}: no column '{name}'; {nearest(name, header)}")
    return header.index(name)


def _numbers(path: Path, header: list[str], rows: _Rows, columns: list[int]) -> NDArray[np.float64]:
    """Return columns that have to be numbers."""
    x = np.empty((len(rows), len(columns)))
    for i, (number, cells) in enumerate(rows):
        for j, column in enumerate(columns):
            x[i, j] = _number(cells[column], path, number, header[column])
    return x


def _labels(
    path: Path, header: list[str], rows: _Rows, column: int
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return a column as indices of classes, with their names, or as targets, without any."""
    members = _members(path, rows, header[column], column, "classes")
    if _are_targets(members):
        return _numbers(path, header, rows, [column])[:, 0], ()
    whole = all(map(_WHOLE.fullmatch, members))
    check_classes(tuple(members), len(rows), str(path), whole=whole)
    y = np.empty(len(rows), dtype=np.int64)
    for label, places in enumerate(members.values()):
        y[places] = label
    return y, tuple(members)


def _members(path: Path, rows: _Rows, name: str, column: int, what: str) -> dict[str, list[int]]:
    """Return the names of classes or tasks in their order, with the places of each one's rows.

    Python's strings and integers, as NumPy's strings lose a NUL at their end, and its integers the
    digits that 64 bits have no room for.
    """
    members: dict[str, list[int]] = {}
    for i, (row, cells) in enumerate(rows):
        cell = cells[column].strip()
        if not _WHOLE.fullmatch(cell):
            _check_there(cell, path, row, name)
        members.setdefault(cell, []).append(i)
    if _are_targets(members):
        return members
    spellings: dict[int, str] = {}
    for cell in filter(_WHOLE.fullmatch, members):
        first = spellings.setdefault(int(cell), cell)
        if first != cell:
            raise DataError(
                f"{path}: column '{name}' names {what} by one number in two ways, "
                f"'{first}' and '{cell}'"
            )
    if len(spellings) == len(members):
        return {cell: members[cell] for _, cell in sorted(spellings.items())}
    return dict(sorted(members.items()))


def _are_targets(cells: Collection[str]) -> bool:
    """Return whether all cells are numbers, and not all of them whole."""
    return all(_parse(cell) is not None for cell in cells) and not all(map(_WHOLE.fullmatch, cells))


def _check_there(cell: str, path: Path, row: int, name: str) -> None:
    """Raise if a cell that may be text has nothing, or what stands for it among numbers."""
    number = _parse(cell)
    if not cell or (number is not None and not math.isfinite(number)):
        raise DataError(f"{path}: row {row}, column '{name}': '{cell}' is a missing value")


def _number(cell: str, path: Path, row: int, name: str) -> float:
    number = _parse(cell.strip())
    if number is None or not math.isfinite(number):
        problem = f"'{cell}' is not a number" if cell.strip() else "a value is missing"
        raise DataError(f"{path}: row {row}, column '{name}': {problem}")
    return number


def _parse(cell: str) -> float | None:
    """Return the number that is written there; None if it is none."""
    try:
        # Python reads 1_000 as a number, which no table means by it.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None
