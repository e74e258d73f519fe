"""Mixing by the emulated CUDA kernels, called as the references are."""

from pathlib import Path
from typing import Any

import emulation
import torch
from torch import Tensor

from lelkern.reference.mixup import computed_in

SOURCE = Path(__file__).with_name("mixing_kernels.cpp")


def module() -> emulation.Module:
    return emulation.load(SOURCE)


def inverse(perm: Tensor) -> Tensor:
    """Return the inverse of a permutation, -1 where there is none."""
    result = torch.full_like(perm, -1)
    assert module().invert(perm, len(perm), result) == 0
    return result


def empty(shape: Any, dtype: torch.dtype, misaligned: int) -> tuple[Tensor, Any]:
    """Return a tensor to write to, and what to pass for it."""
    tensor = torch.full(tuple(shape), 7, dtype=dtype)
    return tensor, emulation.misaligned(tensor, misaligned) if misaligned else tensor


def mix_rows(
    first: Tensor,
    second: Tensor | None,
    lam: Tensor,
    perm: Tensor,
    order: Tensor | None,
    scale: Tensor | None,
    offset: Tensor | None,
    inner: int,
    dtype: torch.dtype,
    *,
    misaligned: int = 0,
) -> Tensor:
    """Do what lelkern.reference.mixup.mix_rows does, to a result so many bytes off a vector."""
    mixed, to = empty((len(lam), first.shape[1]), dtype, misaligned)
    status = module().mix(first, second, lam, perm, order, scale, offset, inner, to)
    assert status == 0
    return mixed


def mix_rows_backward(
    grad: Tensor,
    first: Tensor,
    second: Tensor | None,
    lam: Tensor,
    perm: Tensor,
    order: Tensor | None,
    scale: Tensor | None,
    offset: Tensor | None,
    inner: int,
    dtype: torch.dtype,
) -> tuple[Tensor | None, Tensor | None, Tensor]:
    """Do what lelkern.reference.mixup.mix_rows_backward does."""
    of_first = of_second = None
    if first.is_floating_point():
        of_first = torch.full(first.shape, 7, dtype=first.dtype)
        of_second = None if second is None else torch.full(second.shape, 7, dtype=first.dtype)
        place = None if order is None else inverse(order)
        status = module().mix_backward(
            *(grad, first, second, lam, inverse(perm), place, scale, inner, of_first, of_second)
        )
        assert status == 0
    of_lam = torch.full(lam.shape, 7, dtype=computed_in(first, dtype))
    status = module().lam_backward(
        *(grad, first, second, lam, perm, order, scale, offset, inner, of_lam)
    )
    assert status == 0
    return of_first, of_second, of_lam


def mix_labels(
    labels: Tensor,
    guesses: Tensor | None,
    lam: Tensor,
    perm: Tensor,
    order: Tensor | None,
    copies: int,
    num_classes: int,
    dtype: torch.dtype,
) -> Tensor:
    """Do what lelkern.reference.mix_labels.mix_labels does."""
    assert len(lam) == len(labels) + (0 if guesses is None else copies * len(guesses))
    mixed = torch.full((len(lam), num_classes), 7, dtype=dtype)
    either = (None, labels) if labels.is_floating_point() else (labels, None)
    given = (*either, guesses, lam, perm, order, len(labels), mixed)
    assert module().mix_labels(*given) == 0
    return mixed


def cut_rows(
    x: Tensor,
    boxes: Tensor,
    perm: Tensor,
    scale: Tensor | None,
    offset: Tensor | None,
    height: int,
    width: int,
    inner: int,
    dtype: torch.dtype,
    *,
    misaligned: int = 0,
) -> Tensor:
    """Do what lelkern.reference.cutmix.cut_rows does, to a result so many bytes off a vector."""
    result, to = empty(x.shape, dtype, misaligned)
    assert module().cut(x, boxes, perm, scale, offset, height, width, inner, to) == 0
    return result


def cut_rows_backward(
    grad: Tensor,
    x: Tensor,
    boxes: Tensor,
    perm: Tensor,
    scale: Tensor | None,
    offset: Tensor | None,
    height: int,
    width: int,
    inner: int,
    dtype: torch.dtype,
) -> Tensor:
    """Do what lelkern.reference.cutmix.cut_rows_backward does."""
    of_x = torch.full(x.shape, 7, dtype=x.dtype)
    status = module().cut_backward(grad, boxes, inverse(perm), scale, height, width, inner, of_x)
    assert status == 0
    return of_x


def mixup_lambda(seed: Tensor, alpha: Tensor, n: int, fold: bool, dtype: torch.dtype) -> Tensor:
    """Do what lelkern.reference.mixup_lambda.mixup_lambda does."""
    lam = torch.full((n,), 7, dtype=dtype)
    assert module().draw(seed, alpha, fold, lam) == 0
    return lam
