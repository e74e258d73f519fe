"""Temperatures and their kin: numbers, or tensors that may get a gradient."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lelkern.number import number_or_tensor
from lelkern.ops._dtypes import DTYPES, computed_in
from lelkern.ops._known import known_number
from lelkern.ops._number import tensor_of


def temperature_tensor(
    temperature: float | Tensor, like: Tensor, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Return the temperature as a tensor without dimensions on the device of ``like``, checked.

    A number takes ``dtype``, by default that in which the op computes with ``like``; a tensor keeps
    its own. A tensor whose value is on a GPU, or unknown inside ``torch.compile`` or vmap, is not
    checked.
    """
    return number_tensor("temperature", temperature, like, check=check_temperature, dtype=dtype)


def number_tensor(
    name: str,
    value: float | Tensor,
    like: Tensor,
    *,
    check: Callable[[float], None],
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Return a number as a tensor, as :func:`temperature_tensor` does; errors call it ``name``.

    Args:
        name: of the number.
        value: the number, or a tensor with one element.
        like: the tensor whose device it comes to.
        check: raises ValueError for a number that will not do.
        dtype: of a number that is no tensor; by default that in which the op computes.
    """
    value = number_or_tensor(name, value)
    if not isinstance(value, Tensor):
        check(value)
        return tensor_of(value, dtype=dtype or computed_in(like), device=like.device)
    if value.numel() != 1:
        raise ValueError(f"{name} must have one element, got {tuple(value.shape)}")
    if value.dtype not in DTYPES:
        raise TypeError(f"{name} must be floating point, got {value.dtype}")
    known = known_number(value)
    if known is not None:
        check(known)
    return value.reshape(()).to(like.device)


def check_temperature(value: float) -> None:
    """Raise ValueError for a temperature that is not a positive number."""
    check_positive("temperature", value)


def check_positive(name: str, value: float) -> None:
    """Raise ValueError for what is not a positive number."""
    if not value > 0:
        raise ValueError(f"{name} must be > 0, got {value}")
    check_finite(name, value)


def check_finite(name: str, value: float) -> None:
    """Raise ValueError for nan and infinities."""
    if not -math.inf < value < math.inf:
        raise ValueError(f"{name} must be finite, got {value}")
