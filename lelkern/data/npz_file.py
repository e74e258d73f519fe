"""Read a table or tasks from an ``.npz`` file of NumPy; see :mod:`lelkern.data.array_file`."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile

from lelkern.data.array_file import Value, open_arrays
from lelkern.data.errors import DataError
from lelkern.data.registry import DataSet


def open_npz(path: Path, target: str | None) -> DataSet:
    """Return the data set of an ``.npz`` file.

    Args:
        path: the file. Arrays of Python objects are refused: reading them runs code of the file.
        target: the array to be predicted; by default ``y`` or ``Y``.

    Raises:
        DataError: no such file, it is damaged, or the arrays are not there.
    """

    def read(names: Collection[str]) -> dict[str, Value]:
        return _read(path, names)

    return open_arrays(path, target, format="npz", names=_read(path, None), read=read)


def _read(path: Path, names: Collection[str] | None) -> dict[str, Any]:
    """Read arrays by name; without names, only list them all."""
    # A damaged archive can raise errors of any type: from zipfile, zlib or NumPy.
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, NpzFile):
            raise ValueError("a single array rather than an archive of them")
        with file:
            if names is None:
                return dict.fromkeys(file.files)
            return {name: file[name] for name in names}
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as an .npz file ({reason})") from error
