"""The op of all mixing: rows, each with its partner, in one pass over them."""

from typing import Any

import torch
from torch import Tensor

from lelkern.ops._differentiable_op import DifferentiableOp, Skippable
from lelkern.reference import mixup as reference


def mix_rows(
    first: Tensor,
    second: Tensor | None,
    lam: Tensor,
    perm: Tensor,
    *,
    order: Tensor | None = None,
    scale: Tensor | None = None,
    offset: Tensor | None = None,
    inner: int = 1,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Return all rows, each mixed with its partner: (R, D).

    Row i of those of ``first`` and ``second``, one after the other though they are never stacked,
    becomes lam[i] * row i + (1 - lam[i]) * row perm[i].

    Args:
        first: (N, D) floating point or uint8.
        second: (R - N, D) of the same dtype, or None.
        lam: (R,) in the dtype of the arithmetic.
        perm: (R,) int64, a permutation.
        order: (R,) int64, a permutation: which row's mix each result is; by default its own.
        scale: (channels,) in the dtype of the arithmetic: rows are multiplied by it on the way.
        offset: likewise, added after that.
        inner: features of one channel that lie side by side.
        dtype: of the result; by default that of the rows.
    """
    dtype = first.dtype if dtype is None else dtype
    return _OP((first, second, lam, perm, order, scale, offset), (inner, dtype))


def _fake(first: Tensor, second: Tensor | None, *others: Any) -> Tensor:
    rows = first.shape[0] + (0 if second is None else second.shape[0])
    return first.new_empty((rows, first.shape[1]), dtype=others[-1])


_INPUTS = (
    "Tensor first, Tensor? second, Tensor lam, Tensor perm, Tensor? order, Tensor? scale, "
    "Tensor? offset"
)
_OP = DifferentiableOp(
    "mix_rows",
    inputs=_INPUTS,
    differentiable=("first", "second", "lam"),
    options="SymInt inner, ScalarType dtype",
    outputs="Tensor mixed",
    reference=reference.mix_rows,
    reference_backward=reference.mix_rows_backward,
    fake=_fake,
    skippable=Skippable("lam_needs_grad", lambda inputs: 2),
)
