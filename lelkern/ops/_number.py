"""Numbers as the ops take them: tensors."""

import math

import torch
from torch import Tensor


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


def in_range(number: float, dtype: torch.dtype) -> float:
    """Return a number, at least 0, as a tensor of a dtype has it: infinite above its largest one.

    As a tensor of a wider dtype is cast; PyTorch has no such number put into a new one. Inside
    ``torch.compile`` it is a sum, which is infinite by itself.
    """
    if torch.compiler.is_compiling():
        return number
    return math.inf if number > torch.finfo(dtype).max else float(number)
