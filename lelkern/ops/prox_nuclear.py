"""The proximal operator of the nuclear norm: front doors."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from lelkern.ops._dtypes import check_floating, computed_in
from lelkern.ops._in_place import replace_
from lelkern.ops._known import known_number
from lelkern.ops._prox import Threshold, threshold
from lelkern.ops._transforms import only_autograd
from lelkern.reference import prox_nuclear as reference
from lelkern.reference.prox_nuclear_by_gram import prox_nuclear_by_gram


def prox_nuclear(w: Tensor, lam: Threshold) -> Tensor:
    r"""Return the singular value threshold, the proximal operator of the nuclear norm.

    .. math:: U \max(\Sigma - \lambda, 0) V^\top = \arg\min_x \tfrac12 \|x - w\|^2
              + \lambda \|x\|_*, \qquad w = U \Sigma V^\top

    (Cai, Candès & Shen, "A Singular Value Thresholding Algorithm for Matrix Completion", SIAM
    Journal on Optimization 2010). It lowers the rank, as a penalty of tasks that share a subspace.

    There is no kernel of it. On a CPU, matrices of up to 32 bits of which no gradient is asked for
    are shrunk by way of the smaller Gram matrix in float64, which is faster than
    ``torch.linalg.svd`` in float32 and closer to the exact result; all others by
    ``torch.linalg.svd``, of which the last digits differ. Gradients of w and lam are made of
    divided differences, not by differentiating the decomposition, so that they are exact also where
    singular values are equal, or 0; a singular value of lam counts as one that vanishes. They can
    be differentiated once more, in m + n steps. 16-bit matrices are computed in float32, and the
    largest and the smallest relative to a power of 2, so that singular values may pass the largest
    of the dtype; where float32 numbers pass 2^40, those below 2^-166 times the largest lose digits.

    Args:
        w: (..., m, n), float64, float32, bfloat16 or float16.
        lam: the whole threshold, at least 0: a number, or a tensor with one element or one a
            matrix, (...). A tensor on a GPU is not looked at, nor is one inside ``torch.compile``
            or ``torch.func.vmap``: there a negative threshold gives nan.

    Returns:
        A tensor of the shape and dtype of w. A matrix that is not finite becomes nan, unless lam is
        0, where all are left as they are.

    Raises:
        TypeError: w is no floating-point tensor, or lam is no number nor such a tensor.
        ValueError: w has fewer than two dimensions; lam is negative, or has another shape.
    """
    check_floating("w", w)
    if w.dim() < 2:
        raise ValueError(f"w must be (..., m, n), got {tuple(w.shape)}")
    t = threshold("lam", lam, w, tuple(w.shape[:-2]), "one a matrix")
    if w.numel() == 0:
        return w.clone()
    defined = w.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    defined = defined & (t >= 0).unsqueeze(-1).unsqueeze(-1)
    if _gram_serves(w, t) and known_number(defined.all() & (t > 0).all()):
        return prox_nuclear_by_gram(w.float(), t).to(w.dtype)
    values = w.to(computed_in(w)).where(defined, 0)
    x = reference.prox_nuclear(values, t.where(t >= 0, 0))
    undefined = ~defined & (t != 0).unsqueeze(-1).unsqueeze(-1)
    return torch.where(defined, x, w).masked_fill(undefined, math.nan).to(w.dtype)


def _gram_serves(w: Tensor, t: Tensor) -> bool:
    """Whether a Gram matrix in float64 keeps all digits, and no gradient is asked for."""
    if w.dtype == torch.float64 or w.device.type != "cpu" or not only_autograd((w, t)):
        return False
    return not (torch.is_grad_enabled() and (w.requires_grad or t.requires_grad))


def prox_nuclear_(w: Tensor | Iterable[Tensor], lam: Threshold | list[Threshold]) -> None:
    """Apply :func:`lelkern.prox_nuclear` in place, to one tensor of matrices or to several.

    No gradient is recorded: tensors may be parameters, as for an optimiser.

    Args:
        w: a tensor (..., m, n), or several on one device, of any such shapes, strides and
            floating-point dtypes.
        lam: as for :func:`lelkern.prox_nuclear`, for all of them; or a list with one for each.

    Raises:
        TypeError: w has something else than dense floating-point tensors, or lam is no number.
        ValueError: one has fewer than two dimensions; lam is negative or has another shape; tensors
            are on several devices, or share memory. Nothing has been changed then.
    """
    replace_("w", w, prox_nuclear, ("lam", lam))
