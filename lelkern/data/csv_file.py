"""Read a table from a ``.csv`` file.

The first row names the columns. One of them is what is to be predicted, the last unless ``target``
names another; all others are features, and numbers. Text and whole numbers to be predicted are
classes, numbers with a decimal point are targets. Columns are separated by commas, semicolons or
tabs, whichever the first row has most of.
"""

import csv
import math
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lelkern.config import nearest
from lelkern.data.classes import encode
from lelkern.data.errors import DataError
from lelkern.data.registry import DataSet, file_hash
from lelkern.data.table_data import TableData

VERSION = 1
"""Raised whenever the same file would give another table, so that caches notice."""


def open_csv(path: Path, target: str | None) -> DataSet:
    """Return the data set of a ``.csv`` file, which is not read yet.

    Args:
        path: the file.
        target: the column to be predicted; checked when the file is read.
    """
    return DataSet(
        name="csv",
        kind=TableData,
        summary="a table",
        version=VERSION,
        read=partial(read_csv, path),
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
        DataError: the file is no such table; names the file, the row (of the header: 1) and the
            column.
    """
    header, rows = _read_rows(path)
    if target is not None and target not in header:
        raise DataError(f"{path}: no column '{target}'; {nearest(target, header)}")
    column = len(header) - 1 if target is None else header.index(target)
    features = [name for i, name in enumerate(header) if i != column]
    x = np.empty((len(rows), len(features)))
    for i, (number, cells) in enumerate(rows):
        values = [cell for j, cell in enumerate(cells) if j != column]
        for j, (name, cell) in enumerate(zip(features, values, strict=True)):
            x[i, j] = _number(cell, path, number, name)
    y, classes = encode(_target(path, rows, header[column], column), str(path))
    data = TableData.from_arrays(
        str(path),
        x,
        y,
        test_fraction=test_fraction,
        seed=seed,
        classes=classes,
        features=features,
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


def _target(path: Path, rows: _Rows, name: str, column: int) -> NDArray[Any]:
    """Return the column that is to be predicted as integers, as real numbers or as text."""
    cells = [cells[column].strip() for _, cells in rows]
    numbers = [_parse(cell) for cell in cells]
    for (row, _), cell, number in zip(rows, cells, numbers, strict=True):
        if not cell or (number is not None and not math.isfinite(number)):
            raise DataError(f"{path}: row {row}, column '{name}': '{cell}' is a missing value")
    if all(re.fullmatch(r"[+-]?\d{1,18}", cell) for cell in cells):
        return np.array([int(cell) for cell in cells], dtype=np.int64)
    if None not in numbers:
        return np.array(numbers, dtype=np.float64)
    return np.array(cells)


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
