"""Sharpening and guessing by the emulated CUDA kernels, called as their references are."""

from pathlib import Path

import emulation
import torch
from torch import Tensor

SOURCE = Path(__file__).with_name("distribution_kernels.cpp")


def module() -> emulation.Module:
    return emulation.load(SOURCE)


def sharpen(x: Tensor, temperature: Tensor, dim: int = -1, logits: bool = False) -> Tensor:
    """Do what lelkern.reference.sharpen.sharpen does."""
    to = torch.full_like(x, torch.nan)
    _succeed(module().sharpen(_middle(x, dim), logits, temperature, _middle(to, dim)))
    return to


def sharpen_backward(
    grad: Tensor,
    x: Tensor,
    temperature: Tensor,
    dim: int = -1,
    logits: bool = False,
    temperature_needs_grad: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """Do what lelkern.reference.sharpen.sharpen_backward does."""
    to = torch.full_like(x, torch.nan)
    moved = _moved(x.numel() // x.shape[dim]) if temperature_needs_grad else None
    of_result, given, out = (_middle(t, dim) for t in (grad, x, to))
    _succeed(module().sharpen_backward(of_result, given, logits, temperature, out, moved))
    return to, _of_temperature(moved, temperature)


def guess_labels(logits: Tensor, temperature: Tensor) -> Tensor:
    """Do what lelkern.reference.guess_labels.guess_labels does."""
    to = _numbers(logits, *logits.shape[1:])
    _succeed(module().guess(logits, temperature, to))
    return to


def guess_labels_backward(
    grad: Tensor, logits: Tensor, temperature: Tensor, temperature_needs_grad: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Do what lelkern.reference.guess_labels.guess_labels_backward does."""
    to = torch.full_like(logits, torch.nan)
    moved = _moved(logits.shape[1]) if temperature_needs_grad else None
    workspace = _numbers(logits, module().guess_backward_workspace(logits, temperature))
    _succeed(module().guess_backward(grad, logits, temperature, to, moved, workspace))
    return to, _of_temperature(moved, temperature)


def _middle(x: Tensor, dim: int) -> Tensor:
    """Return a contiguous tensor as (outer, classes, inner)."""
    shape = x.shape
    dim %= len(shape)
    outer = torch.Size(shape[:dim]).numel()
    return x.view(outer, shape[dim], -1)


def _numbers(like: Tensor, *shape: int) -> Tensor:
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    return torch.full(shape, torch.nan, dtype=dtype)


def _moved(count: int) -> Tensor:
    return torch.full((count,), torch.nan, dtype=torch.float64)


def _of_temperature(moved: Tensor | None, temperature: Tensor) -> Tensor | None:
    if moved is None:
        return None
    to = torch.full_like(temperature, torch.nan)
    _succeed(module().temperature_gradient(moved, len(moved), temperature, to))
    return to


def _succeed(status: int) -> None:
    assert status == 0
