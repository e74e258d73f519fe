"""What the metrics require of their arguments; each error names the argument and its value.

The checks return the arguments as metrics compute with them: features without their graph, labels
in int64, whatever whole numbers they were.
"""

import operator
from typing import SupportsIndex

import torch
from torch import Tensor

from lelkern.errors import NotFiniteError
from lelkern.number import number_or_tensor


def check_features(name: str, x: Tensor) -> Tensor:
    """Return features x; require floating-point (N, D) with N, D >= 1 and finite values.

    A diverged run gives NaN features, which most metrics would turn into a plausible number:
    every comparison with NaN is false.

    Raises:
        ValueError: another dtype or shape.
        NotFiniteError: NaN or infinity.
    """
    if x.ndim != 2 or 0 in x.shape or not x.is_floating_point():
        raise ValueError(f"{name} must be floating point (N, D), got {x.dtype} {tuple(x.shape)}")
    finite = torch.isfinite(x).all(dim=1)
    if not finite.all():
        row = int(finite.int().argmin())
        raise NotFiniteError(f"{name} must be finite, got NaN or infinity in row {row}")
    return x.detach()


def check_images(name: str, images: Tensor) -> None:
    """Require uint8 images (N, 3, H, W), N >= 1."""
    if images.dtype != torch.uint8 or images.ndim != 4 or 0 in images.shape or images.shape[1] != 3:
        raise ValueError(
            f"{name} must be uint8 (N, 3, H, W), got {images.dtype} {tuple(images.shape)}"
        )


def check_labels(name: str, y: Tensor, n: int) -> Tensor:
    """Return labels y; require integers (n,), none negative."""
    integer = not (y.is_floating_point() or y.is_complex() or y.dtype == torch.bool)
    if y.shape != (n,) or not integer:
        raise ValueError(f"{name} must be integer ({n},), got {y.dtype} {tuple(y.shape)}")
    y = y.long()
    if (low := int(y.min())) < 0:
        raise ValueError(f"{name} must not be negative, got {low}")
    return y


def check_pairs(z1: Tensor, z2: Tensor) -> tuple[Tensor, Tensor]:
    """Return two feature matrices; require one shape, row i of both being a positive pair."""
    z1, z2 = check_features("z1", z1), check_features("z2", z2)
    if z1.shape != z2.shape:
        raise ValueError(
            f"z1 and z2 must have one shape, got {tuple(z1.shape)} and {tuple(z2.shape)}"
        )
    return z1, z2


def check_classification(
    train_x: Tensor, train_y: Tensor, test_x: Tensor, test_y: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return labelled features to learn from and to test on; require them to be of one width."""
    train_x = check_features("train_x", train_x)
    train_y = check_labels("train_y", train_y, len(train_x))
    test_x = check_features("test_x", test_x)
    test_y = check_labels("test_y", test_y, len(test_x))
    if train_x.shape[1] != test_x.shape[1]:
        raise ValueError(
            f"train_x and test_x must have one width, got {train_x.shape[1]} and {test_x.shape[1]}"
        )
    return train_x, train_y, test_x, test_y


def positive_number(name: str, value: object) -> float:
    """Return a number of whatever type as a float; require it to be > 0, which NaN is not."""
    number = number_or_tensor(name, value)
    number = float(number.detach() if isinstance(number, Tensor) else number)
    if not number > 0:
        raise ValueError(f"{name} must be > 0, got {number:g}")
    return number


def positive_count(name: str, value: SupportsIndex) -> int:
    """Return a whole number of whatever type as an int; require it to be > 0."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from None
    if not number > 0:
        raise ValueError(f"{name} must be > 0, got {number}")
    return number
