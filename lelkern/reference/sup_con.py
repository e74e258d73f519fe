"""SupCon in plain PyTorch: the specification of the op, and its fallback.

Computed in float32, or float64 for float64 rows, with matrices of M x M. Both functions are
differentiable. ``temperature`` has no dimensions; one that is not a positive number gives nan.
"""

import torch
from torch import Tensor

from lelkern.reference import contrastive


def sup_con(
    z: Tensor,
    labels: Tensor,
    temperature: Tensor,
    ids: Tensor | None = None,
    normalize: bool = True,
    stats: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return loss, log-sum-exp over the candidates, and statistics of each of the M rows.

    The candidates are all rows but itself and, but for those of its class, those with its id.
    """
    unit, _ = contrastive.rows(z, normalize)
    x = contrastive.logits(unit @ unit.T, temperature)
    positive, excluded = _masks(labels, ids)
    loss, log_sum_exp = contrastive.loss_of_positives(x, positive, excluded)
    return loss, log_sum_exp, contrastive.statistics(x, positive, excluded, stats)


def sup_con_backward(
    grad: Tensor,
    z: Tensor,
    labels: Tensor,
    temperature: Tensor,
    ids: Tensor | None = None,
    normalize: bool = True,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of z and temperature, given those of the M losses."""
    unit, norm = contrastive.rows(z, normalize)
    x = contrastive.logits(unit @ unit.T, temperature)
    positive, excluded = _masks(labels, ids)
    W = contrastive.weights_of_positives(grad, x, positive, excluded)  # (M, M)
    grad_unit = (W + W.T) @ unit / temperature
    grad_z = contrastive.through_rows(grad_unit, unit, norm, normalize)
    grad_temperature = -contrastive.sum_of_weighted(W, x, positive) / temperature
    return grad_z.to(z.dtype, copy=True), grad_temperature.to(temperature.dtype)


def _masks(labels: Tensor, ids: Tensor | None) -> tuple[Tensor, Tensor]:
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    positive = contrastive.same(labels, labels) & ~itself
    excluded = itself
    if ids is not None:
        excluded = itself | (contrastive.same(ids, ids) & ~positive)
    return positive, excluded
