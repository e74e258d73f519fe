"""The dtypes of what the ops take, and those in which they compute."""

import torch
from torch import Tensor

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def check_floating(name: str, x: object) -> None:
    """Raise TypeError unless ``x``, which the error calls ``name``, is a tensor of such a dtype."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(x).__name__}")
    if x.dtype not in DTYPES:
        raise TypeError(f"{name} must be float64, float32, bfloat16 or float16, got {x.dtype}")


def computed_in(x: Tensor) -> torch.dtype:
    """Return the dtype of sums and of what is made of them."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32
