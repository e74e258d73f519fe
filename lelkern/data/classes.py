"""From what is to be predicted to classes or targets."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lelkern.data.errors import DataError


def encode(y: NDArray[Any], what: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return y as indices of classes, or as targets.

    Text, booleans and integers are classes, in the order of their values; floating-point numbers
    are targets.

    Args:
        y: (N,).
        what: names it in errors.

    Returns:
        (N,) int64 and the names of the classes; or (N,) float64 and no names.

    Raises:
        DataError: it is of another type, has only one class, or more classes than half as many as
            samples: then it was meant as targets.
    """
    if y.dtype.kind == "f":
        return y.astype(np.float64), ()
    if y.dtype.kind not in "biuU":
        raise DataError(f"{what}: y must be numbers or text, got {y.dtype}")
    values, labels = np.unique(y, return_inverse=True)
    names = tuple(str(value) for value in values)
    check_classes(names, len(y), what, whole=y.dtype.kind in "iu")
    return labels.astype(np.int64).reshape(y.shape), names


def check_classes(names: Sequence[str], samples: int, what: str, *, whole: bool) -> None:
    """Raise where there are too few classes, or so many that targets were meant.

    Args:
        names: of the classes, at least one.
        samples: how many there are, of all classes together.
        what: names the data in errors.
        whole: whether all names are whole numbers, which targets may be written as.

    Raises:
        DataError: there is one class, or there are more whole numbers than half as many as samples.
    """
    if len(names) < 2:
        raise DataError(f"{what}: at least two classes are needed, found only '{names[0]}'")
    if whole and 2 * len(names) > samples:
        raise DataError(
            f"{what}: {len(names)} different whole numbers in {samples} samples would make as many "
            "classes; targets are written with a decimal point, or saved as floating-point numbers"
        )
