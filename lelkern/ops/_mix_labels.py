"""The op that mixes labels: no row of them is made before it is mixed."""

from typing import Any

import torch
from torch import Tensor

from lelkern.ops._define import define
from lelkern.ops._mix_rows import mix_rows
from lelkern.ops._mixing import arithmetic_of
from lelkern.ops._transforms import differentiated_by_tracing
from lelkern.reference import mix_labels as reference


def mix_labels(
    labels: Tensor,
    num_classes: int,
    dtype: torch.dtype,
    lam: Tensor,
    perm: Tensor,
    *,
    guesses: Tensor | None = None,
    copies: int = 1,
    order: Tensor | None = None,
) -> Tensor:
    """Return the labels of all samples, each mixed with that of its partner: (R, C) in ``dtype``.

    The same bits, and the same gradients, as :func:`mix_rows` gives for distributions over the
    classes. Those with a gradient are made and go through it: they are seldom.

    Args:
        labels: (N,) int64, classes; or (N, C) floating point, distributions over them.
        num_classes: C.
        dtype: of the result.
        lam: (R,) floating point.
        perm: (R,) int64, a permutation.
        guesses: (B, C) floating point, the labels of samples N + k B to N + (k + 1) B for each copy
            k; so R is N + copies B. None if there are no such samples.
        copies: how many there are of each.
        order: (R,) int64, a permutation: whose mix each result is; by default its own.
    """
    lam = lam.to(arithmetic_of(dtype))
    options = copies, num_classes, dtype
    if _is_differentiated(labels, guesses, lam):
        rows = reference.label_rows(labels, guesses, *options)
        return mix_rows(rows, None, lam, perm, order=order)
    mixed: Tensor = torch.ops.lelkern.mix_labels(labels, guesses, lam, perm, order, *options)
    return mixed


def _is_differentiated(labels: Tensor, guesses: Tensor | None, lam: Tensor) -> bool:
    """Whether a gradient of these tensors may be asked for."""
    if torch.is_grad_enabled():
        if labels.requires_grad or lam.requires_grad:
            return True
        if guesses is not None and guesses.requires_grad:
            return True
    return differentiated_by_tracing(labels, guesses, lam)


def _fake(labels: Tensor, guesses: Tensor | None, *others: Any) -> Tensor:
    copies, num_classes, dtype = others[-3:]
    samples = labels.shape[0] + (0 if guesses is None else copies * guesses.shape[0])
    return labels.new_empty((samples, num_classes), dtype=dtype)


define(
    "mix_labels",
    "(Tensor labels, Tensor? guesses, Tensor lam, Tensor perm, Tensor? order, SymInt copies, "
    "SymInt num_classes, ScalarType dtype) -> Tensor",
    reference=reference.mix_labels,
    fake=_fake,
)
