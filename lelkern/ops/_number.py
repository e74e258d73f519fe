"""Numbers that the ops take, such as temperatures: a float, or a tensor in its place."""

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


def tensor_of(
    number: float, *, dtype: torch.dtype, device: torch.device, shape: tuple[int, ...] = ()
) -> Tensor:
    """Return a number as a tensor, by default without dimensions, which an op can take.

    On a device without float64 (Apple's MPS, Intel's Arc) it is in float32 instead.

    So that what ``torch.compile`` makes of it serves every number: PyTorch follows a Python number
    through arithmetic with tensors only. What fills a tensor with it, and an op that has it as an
    argument, is compiled again for every value, or keeps an earlier one (seen with PyTorch 2.14).
    """
    if torch.compiler.is_compiling():
        return torch.zeros(shape, dtype=dtype, device=device) + number
    try:
        return torch.full(shape, number, dtype=dtype, device=device)
    except (TypeError, RuntimeError):  # which of them is the device's choice
        if dtype != torch.float64:
            raise
        return torch.full(shape, number, dtype=torch.float32, device=device)
