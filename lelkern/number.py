"""Numbers that functions take: a float, or what stands for one."""

from contextlib import suppress

import torch
from torch import Tensor


def number_or_tensor(name: str, value: object) -> float | Tensor:
    """Return a tensor as it is, and any other number as a float or int.

    Numbers are what ``float`` takes but for text: NumPy's, also as an array without dimensions, and
    Decimals and Fractions.

    Inside ``torch.compile``, where NumPy's numbers are arrays that nobody can look at, they become
    tensors.

    Raises:
        TypeError: the value is neither; the error calls it ``name``.
    """
    if isinstance(value, Tensor | float | int):
        return value
    if torch.compiler.is_compiling():
        return torch.as_tensor(value, dtype=torch.float64)
    if hasattr(value, "__float__"):
        with suppress(TypeError):  # an array of several
            return float(value)
    raise TypeError(f"{name} must be a number or a tensor, got {type(value).__name__}")
