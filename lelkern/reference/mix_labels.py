"""Mixing of labels in plain PyTorch: rows of numbers made of them, and mixed as any others."""

import torch
from torch import Tensor

from lelkern.reference.mixup import mix_rows


def label_rows(
    labels: Tensor, guesses: Tensor | None, copies: int, num_classes: int, dtype: torch.dtype
) -> Tensor:
    """Return a distribution over C classes for each sample: (N + copies B, C) in ``dtype``.

    The first N are ``labels``: classes (N,), which become one-hot, or distributions (N, C). The
    others are ``guesses`` (B, C), all of them again for each copy.
    """
    if labels.is_floating_point():
        rows = labels.to(dtype)
    else:
        zeros = labels.new_zeros((len(labels), num_classes), dtype=dtype)
        rows = zeros.scatter(1, labels.unsqueeze(1), 1.0)
    return rows if guesses is None else torch.cat((rows, guesses.to(dtype).repeat(copies, 1)))


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
    """Return the labels of all samples mixed as :func:`mix_rows` mixes rows: (R, C) in ``dtype``.

    ``lam`` (R,) is in float64 if ``dtype`` is, and otherwise in float32.
    """
    rows = label_rows(labels, guesses, copies, num_classes, dtype)
    return mix_rows(rows, None, lam, perm, order, None, None, 1, dtype)
