"""NT-Xent in plain PyTorch: the specification of the op, and its fallback.

Computed in float32, or float64 for float64 rows, with matrices of 2N x 2N. Both functions are
differentiable. ``temperature`` has no dimensions; one that is not a positive number gives nan.
"""

import torch
from torch import Tensor

from lelkern.reference import contrastive


def nt_xent(
    z1: Tensor,
    z2: Tensor,
    temperature: Tensor,
    ids: Tensor | None = None,
    normalize: bool = True,
    decoupled: bool = False,
    stats: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return loss, log-sum-exp over the candidates, and statistics of each of the 2N rows.

    The candidates are all rows but itself and, but for the positive, those with its id. Decoupled,
    the log-sum-exp is over the negatives alone.
    """
    unit, _ = contrastive.rows(torch.cat([z1, z2]), normalize)
    x = contrastive.logits(unit @ unit.T, temperature)
    positive, excluded = _masks(x, ids)
    loss, log_sum_exp = contrastive.loss_of_one_positive(x, positive, excluded, decoupled)
    return loss, log_sum_exp, contrastive.statistics(x, positive, excluded, stats)


def nt_xent_backward(
    grad: Tensor,
    z1: Tensor,
    z2: Tensor,
    temperature: Tensor,
    ids: Tensor | None = None,
    normalize: bool = True,
    decoupled: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of z1, z2 and temperature, given those of the 2N losses."""
    unit, norm = contrastive.rows(torch.cat([z1, z2]), normalize)
    x = contrastive.logits(unit @ unit.T, temperature)
    positive, excluded = _masks(x, ids)
    W = contrastive.weights_of_one_positive(grad, x, positive, excluded, decoupled)  # (2N, 2N)
    grad_unit = (W + W.T) @ unit / temperature
    grad_z = contrastive.through_rows(grad_unit, unit, norm, normalize)
    # Copies, since the outputs of an op may not share memory.
    grad_z1, grad_z2 = (half.to(z1.dtype, copy=True) for half in grad_z.tensor_split(2))
    grad_temperature = -contrastive.sum_of_weighted(W, x, positive) / temperature
    return grad_z1, grad_z2, grad_temperature.to(temperature.dtype)


def _masks(x: Tensor, ids: Tensor | None) -> tuple[Tensor, Tensor]:
    itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
    positive = itself.roll(len(x) // 2, dims=1)
    excluded = itself
    if ids is not None:
        both = ids.repeat(2)
        excluded = itself | (contrastive.same(both, both) & ~positive)
    return positive, excluded
