"""Checks of the NumPy arrays that tables and tasks are made of."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from lelkern.data.errors import DataError


def as_array(values: ArrayLike, dtype: DTypeLike, what: str) -> NDArray[Any]:
    """Return numbers as a contiguous array of the given dtype.

    Args:
        values: booleans, integers or real numbers of any size.
        dtype: int64 or float64.
        what: names the array in errors.

    Raises:
        DataError: the values are no numbers, or fractions where integers are wanted.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} must be numbers, got {array.dtype}")
    if dtype == np.int64 and array.dtype.kind == "f":
        raise DataError(f"{what} must be whole numbers, got {array.dtype}")
    return np.ascontiguousarray(array, dtype=dtype)


def check_features(x: NDArray[Any], what: str, features: int | None = None) -> None:
    """Check that x is (N, D) float64, finite and not empty, with as many columns as features.

    Args:
        x: the samples.
        what: names them in errors.
        features: D; by default any.

    Raises:
        DataError: it is not so.
    """
    if x.dtype != np.float64 or x.ndim != 2:
        raise DataError(f"{what} must be float64 (N, D), got {x.dtype} {x.shape}")
    if x.size == 0:
        raise DataError(f"{what} is empty: {x.shape}")
    if features is not None and x.shape[1] != features:
        raise DataError(f"{what} has {x.shape[1]} columns, but there are {features} features")
    _check_finite(x, what)


def check_targets(y: NDArray[Any], what: str, n: int) -> None:
    """Check that y is (n,) float64 and finite.

    Raises:
        DataError: it is not so.
    """
    if y.dtype != np.float64 or y.shape != (n,):
        raise DataError(f"{what} must be float64 ({n},), got {y.dtype} {y.shape}")
    _check_finite(y, what)


def feature_names(x: NDArray[Any]) -> tuple[str, ...]:
    """Return ``x1`` to ``xD`` for the columns of (N, D) samples; nothing for another shape."""
    return tuple(f"x{i + 1}" for i in range(x.shape[1])) if x.ndim == 2 else ()


def _check_finite(values: NDArray[Any], what: str) -> None:
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        at = tuple(wrong[0].tolist())
        raise DataError(f"{what}{list(at)} is {values[at]}")
