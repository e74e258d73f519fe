"""Read a table or tasks from a ``.mat`` file of MATLAB; see :mod:`lelkern.data.array_file`.

A cell array of matrices is a list of arrays, a cell array of strings a column of text.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from lelkern.data.array_file import Value, open_arrays
from lelkern.data.errors import DataError
from lelkern.data.registry import DataSet


def open_mat(path: Path, target: str | None) -> DataSet:
    """Return the data set of a ``.mat`` file, of version 7 or older.

    One that was cut short is an error. One with wrong bytes inside can end the process: SciPy,
    which reads it, believes what such a file says of its own sizes.

    Args:
        path: the file.
        target: the array to be predicted; by default ``y`` or ``Y``.

    Raises:
        DataError: no such file, it is cut short or of version 7.3, or the arrays are not there.
    """

    def read(names: Collection[str]) -> dict[str, Value]:
        return {name: _plain(value) for name, value in _read(path, names).items()}

    return open_arrays(path, target, format="mat", names=_read(path, None), read=read)


def _read(path: Path, names: Collection[str] | None) -> dict[str, Any]:
    """Read variables by name; without names, only list them all."""
    from scipy.io import loadmat, whosmat

    # What damage to the file makes of it can raise errors of any type.
    try:
        if names is None:
            return {name: None for name, _, _ in whosmat(path)}
        return {name: loadmat(path, variable_names=[name])[name] for name in names}
    except NotImplementedError as error:
        raise DataError(f"{path}: of version 7.3; save it in MATLAB with -v7") from error
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as a .mat file ({reason})") from error


def _plain(value: Any) -> Value:
    """Turn a cell array into a list of arrays, or of text if all of its cells are text."""
    array = np.asarray(value)
    if array.dtype.kind == "U":
        # A matrix of characters has rows of one length, padded.
        return np.char.rstrip(array)
    if array.dtype != object:
        return array
    cells = [np.asarray(cell) for cell in array.reshape(-1)]
    if cells and all(cell.dtype.kind == "U" and cell.size <= 1 for cell in cells):
        return np.array(["".join(cell.reshape(-1).tolist()) for cell in cells])
    return cells
