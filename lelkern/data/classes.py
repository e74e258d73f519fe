"""From what is to be predicted to classes or targets."""

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
    if len(values) < 2:
        raise DataError(f"{what}: at least two classes are needed, found only '{values[0]}'")
    if y.dtype.kind in "iu" and 2 * len(values) > len(y):
        raise DataError(
            f"{what}: {len(values)} different whole numbers in {len(y)} samples would make as many "
            "classes; targets are written with a decimal point, or saved as floating-point numbers"
        )
    return labels.astype(np.int64).reshape(y.shape), tuple(str(value) for value in values)
