"""Lists of tensors that a proximal operator changes in place, in plain PyTorch."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lelkern.reference.precision import widened
from lelkern.reference.prox_group import computed_in, prox_group


def prox_group_(
    w: Sequence[Tensor],
    lam1: Sequence[Tensor],
    lam: Sequence[Tensor],
    group_ptr: Sequence[Tensor],
    group_indices: Sequence[Tensor],
    sizes: Sequence[int],
    q: float,
    scale: Tensor,
) -> None:
    """Replace each tensor by its proximal operator with thresholds times ``scale``.

    ``sizes``: N and B of each tensor, which is (A, N, B) side by side in memory; or 0 and 0 for one
    with groups in CSR form, which are the next ones of ``group_ptr`` and ``group_indices``.
    """
    remaining = iter(zip(group_ptr, group_indices, strict=True))
    for i, x in enumerate(w):
        own = lam1[i] if lam1 else None
        x.copy_(_prox(x, own, lam[i], sizes[2 * i : 2 * i + 2], remaining, q, scale))


def prox_sgd_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    buffers: Sequence[Tensor],
    lam1: Sequence[Tensor],
    lam: Sequence[Tensor],
    group_ptr: Sequence[Tensor],
    group_indices: Sequence[Tensor],
    sizes: Sequence[int],
    q: float,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    first: bool,
    numbers: Tensor | None = None,
) -> None:
    """Take a step of SGD as ``torch.optim.SGD`` does, and the proximal operator of where it leads.

    Thresholds are multiplied by the effective step, so that a fixed point minimises loss plus
    penalty. All is computed in float32, or float64 for float64 parameters, and rounded once.
    ``numbers`` (4,), float64, take the place of ``lr`` to ``weight_decay``.
    """
    if numbers is not None:
        lr, momentum, dampening, weight_decay = numbers.tolist()
    effective = effective_step(lr, momentum, dampening, nesterov)
    scale = torch.tensor(effective, dtype=torch.float64, device="cpu")
    remaining = iter(zip(group_ptr, group_indices, strict=True))
    for i, parameter in enumerate(params):
        x = parameter.to(computed_in(parameter))
        step = grads[i].to(x.dtype) + weight_decay * x if weight_decay else grads[i].to(x.dtype)
        if buffers:
            buffer = buffers[i].to(x.dtype)
            buffer = step if first else momentum * buffer + (1 - dampening) * step
            buffers[i].copy_(buffer)
            step = step + momentum * buffer if nesterov else buffer
        own = lam1[i] if lam1 else None
        moved = x - lr * step
        parameter.copy_(_prox(moved, own, lam[i], sizes[2 * i : 2 * i + 2], remaining, q, scale))


def effective_step(lr: float, momentum: float, dampening: float, nesterov: bool) -> float:
    """Return the distance that SGD moves in the end for a gradient of 1 in one step."""
    if momentum == 0:
        return lr
    total = (1 - dampening) / (1 - momentum)
    return lr * (1 + momentum * total if nesterov else total)


def _prox(
    x: Tensor,
    lam1: Tensor | None,
    lam: Tensor,
    sizes: Sequence[int],
    remaining: Iterator[tuple[Tensor, Tensor]],
    q: float,
    scale: Tensor,
) -> Tensor:
    n, b = sizes
    ptr, indices = next(remaining) if n == b == 0 else (None, None)
    w = x.reshape(-1) if ptr is not None else x.reshape(-1, n, b)
    own_lam1 = None if lam1 is None else scaled(lam1, scale)
    return prox_group(w, own_lam1, scaled(lam, scale), ptr, indices, q)[0].reshape(x.shape)


def scaled(threshold: Tensor, scale: Tensor) -> Tensor:
    """Return a threshold times scale, rounded once; inf, which nothing escapes, stays."""
    wide = widened(threshold)
    product = (wide * scale.to(wide.dtype).to(wide.device)).to(threshold.dtype)
    return product.masked_fill(threshold == math.inf, math.inf)
