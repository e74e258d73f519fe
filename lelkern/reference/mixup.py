"""Mixing of rows in plain PyTorch: the specification of MixUp's op, and its fallback.

Every implementation rounds as this one does: results have the same bits, but for the gradient of
the weights, a sum over features.
"""

import torch
from torch import Tensor


def computed_in(first: Tensor, dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of the arithmetic: float64 if the rows or the results are, or float32."""
    return torch.float64 if torch.float64 in (first.dtype, dtype) else torch.float32


def rescaled(
    x: Tensor, scale: Tensor | None, offset: Tensor | None, feature: int, computed: torch.dtype
) -> Tensor:
    """Return scale * x + offset for rows (R, D), rounded after each step, in ``computed``.

    Scale and offset have one element a channel; that of feature d is d // ``feature``, modulo the
    number of channels. None changes nothing.
    """
    x = x.to(computed)
    if scale is not None:
        x = x * of_features(scale, x.shape[1], feature)
    if offset is not None:
        x = x + of_features(offset, x.shape[1], feature)
    return x


def of_features(channels: Tensor, features: int, feature: int) -> Tensor:
    """Return for each of so many features what its channel has."""
    number = torch.arange(features, device=channels.device)
    return channels[number // feature % len(channels)]


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
) -> Tensor:
    """Return every row mixed with its partner: (R, D) in ``dtype``.

    The rows are those of ``first`` (N, D) and ``second`` (R - N, D), of one dtype. Row i becomes
    lam[i] * row i + (1 - lam[i]) * row perm[i]; result r is that of row order[r], or r. ``lam``,
    ``scale`` and ``offset`` are in the dtype of the arithmetic.
    """
    computed = computed_in(first, dtype)
    rows = first if second is None else torch.cat((first, second))
    rows = rescaled(rows, scale, offset, inner, computed)
    weight = lam.unsqueeze(1)
    mixed = weight * rows + (1 - weight) * rows[perm]
    if order is not None:
        mixed = mixed[order]
    return mixed.to(dtype).contiguous()


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
    """Return the gradients of first, second and lam, given that of the results (R, D).

    Those of rows that are whole numbers are None.
    """
    computed = computed_in(first, dtype)
    rows = first if second is None else torch.cat((first, second))
    rows = rescaled(rows, scale, offset, inner, computed)
    grad = grad.to(computed)
    if order is not None:
        grad = grad[order.argsort()]  # now that of the mix of row i is row i
    grad_lam = (grad * (rows - rows[perm])).sum(dim=1)
    if not first.is_floating_point():
        return None, None, grad_lam
    weight = lam.unsqueeze(1)
    # Row j is in two mixes: its own, and that of the row whose partner it is.
    grad_rows = weight * grad + ((1 - weight) * grad)[perm.argsort()]
    if scale is not None:
        grad_rows = grad_rows * of_features(scale, rows.shape[1], inner)
    grad_rows = grad_rows.to(first.dtype).contiguous()
    if second is None:
        return grad_rows, None, grad_lam
    # Of their own memory each, as an op must return them.
    grad_first, grad_second = grad_rows.tensor_split((len(first),))
    return grad_first.clone(), grad_second.clone(), grad_lam
