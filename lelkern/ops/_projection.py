"""Radii of balls, as the projections onto them take them."""

import math

import torch
from torch import Tensor

from lelkern.number import number_or_tensor
from lelkern.ops._dtypes import DTYPES, computed_in
from lelkern.ops._known import known_ends
from lelkern.ops._number import in_range, tensor_of

Radius = float | Tensor


def radius_tensor(radius: Radius, like: Tensor, shape: tuple[int, ...], *, finite: bool) -> Tensor:
    """Return a radius as an op takes it: without dimensions, or one after the other.

    Raises:
        TypeError: it is neither a number nor a floating-point tensor.
        ValueError: it has another shape, is known to be negative, or to be infinite in what is
            computed in where ``finite``.
    """
    radius = number_or_tensor("radius", radius)
    dtype = computed_in(like)
    if not isinstance(radius, Tensor):
        _check(radius, dtype, finite)
        return tensor_of(in_range(radius, dtype), dtype=dtype, device=like.device)
    if radius.dtype not in DTYPES:
        raise TypeError(f"radius must be floating point, got {radius.dtype}")
    if radius.numel() != 1 and radius.shape != shape:
        raise ValueError(
            f"radius must have one element, or one for each of {shape}, got {tuple(radius.shape)}"
        )
    for end in known_ends(radius) or ():
        _check(end, dtype, finite)
    radius = radius.reshape(()) if radius.shape != shape else radius.reshape(-1)
    return radius.to(like.device, dtype)


def _check(radius: float, dtype: torch.dtype, finite: bool) -> None:
    if radius < 0:
        raise ValueError(f"radius must be >= 0, got {radius}")
    if finite and radius == math.inf:
        raise ValueError(f"radius must be finite, got {radius}")
    if finite and radius > torch.finfo(dtype).max:
        raise ValueError(f"radius must be finite in {dtype}, which is computed in, got {radius}")
