"""Temperatures: numbers, or tensors that may get a gradient."""

import math

import torch
from torch import Tensor

from lelkern.ops._dtypes import DTYPES, computed_in
from lelkern.ops._known import known_number
from lelkern.ops._number import number_or_tensor, tensor_of


def temperature_tensor(
    temperature: float | Tensor, like: Tensor, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Return the temperature as a tensor without dimensions on the device of ``like``, checked.

    A number takes ``dtype``, by default that in which the op computes with ``like``; a tensor keeps
    its own. A tensor whose value is on a GPU, or unknown inside ``torch.compile`` or vmap, is not
    checked.
    """
    temperature = number_or_tensor("temperature", temperature)
    if not isinstance(temperature, Tensor):
        check_temperature(temperature)
        return tensor_of(temperature, dtype=dtype or computed_in(like), device=like.device)
    if temperature.numel() != 1:
        raise ValueError(f"temperature must have one element, got {tuple(temperature.shape)}")
    if temperature.dtype not in DTYPES:
        raise TypeError(f"temperature must be floating point, got {temperature.dtype}")
    value = known_number(temperature)
    if value is not None:
        check_temperature(value)
    return temperature.reshape(()).to(like.device)


def check_temperature(value: float) -> None:
    """Raise ValueError for a temperature that is not a positive number."""
    if not value > 0:
        raise ValueError(f"temperature must be > 0, got {value}")
    if value == math.inf:
        raise ValueError(f"temperature must be finite, got {value}")
