"""The soft threshold in plain PyTorch: the specification of the op, and its fallback.

Computed in float32, or float64 for float64 inputs. ``lam`` has no dimensions or the shape of w; a
negative one gives nan. Both functions are differentiable.
"""

import math

import torch
from torch import Tensor


def prox_l1(w: Tensor, lam: Tensor) -> Tensor:
    """Return sign(w) max(|w| - lam, 0), like w."""
    x = w.to(torch.float64 if w.dtype == torch.float64 else torch.float32)
    return soft_threshold(x, lam).to(w.dtype)


def prox_l1_backward(grad: Tensor, w: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of w and lam, given that of the result."""
    x = w.to(torch.float64 if w.dtype == torch.float64 else torch.float32)
    grad_x, grad_lam = soft_threshold_backward(grad.to(x.dtype), x, lam)
    return grad_x.to(w.dtype), grad_lam if lam.dim() == x.dim() else grad_lam.sum()


def nan_if_negative(threshold: Tensor) -> Tensor:
    """Return a threshold, with nan in place of what is none."""
    return threshold.masked_fill(threshold < 0, math.nan)


def soft_threshold(x: Tensor, lam: Tensor) -> Tensor:
    """Return sign(x) max(|x| - lam, 0); x itself, bit for bit, where lam is 0."""
    lam = nan_if_negative(lam)
    dead = x.abs() <= lam  # not where either is nan
    distance = (x.abs() - lam).masked_fill(dead, 0)
    return torch.where(lam == 0, x, torch.where(x < 0, -distance, distance))


def soft_threshold_backward(grad: Tensor, x: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and of lam element by element."""
    lam = nan_if_negative(lam)
    undefined = (x.isnan() & (lam != 0)) | lam.isnan()
    dead = x.abs() <= lam
    grad_x = grad.masked_fill(dead & (lam != 0), 0).masked_fill(undefined, math.nan)
    grad_lam = (-x.sign() * grad).masked_fill(dead, 0).masked_fill(undefined, math.nan)
    return grad_x, grad_lam
