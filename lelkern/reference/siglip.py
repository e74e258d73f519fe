"""SigLIP's loss in plain PyTorch: the specification of the op, and its fallback.

Computed in float32, or float64 for float64 rows, with matrices of queries x keys. Both functions
are differentiable. ``logit_scale`` and ``logit_bias`` have no dimensions; a scale that is not a
positive number gives nan.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lelkern.reference import contrastive


def siglip(
    query: Tensor,
    key: Tensor,
    logit_scale: Tensor,
    logit_bias: Tensor,
    ids: Tensor | None = None,
    key_ids: Tensor | None = None,
    normalize: bool = True,
) -> tuple[Tensor, Tensor]:
    """Return the loss of each query, (N,), and its derivatives by bias and scale, (2, N)."""
    q, _ = contrastive.rows(query, normalize)
    k, _ = contrastive.rows(key, normalize)
    s = q @ k.T
    x, sign = _logits_and_labels(s, logit_scale, logit_bias, ids, key_ids)
    loss = F.softplus(-sign * x, threshold=40).sum(dim=1)
    W = _weights(x, sign)
    return loss, torch.stack([W.sum(dim=1), (W * s).sum(dim=1)])


def siglip_backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    logit_scale: Tensor,
    logit_bias: Tensor,
    ids: Tensor | None = None,
    key_ids: Tensor | None = None,
    normalize: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of query, key, scale and bias, given those of the losses."""
    q, q_norm = contrastive.rows(query, normalize)
    k, k_norm = contrastive.rows(key, normalize)
    s = q @ k.T
    W = grad.unsqueeze(1) * _weights(*_logits_and_labels(s, logit_scale, logit_bias, ids, key_ids))
    # Copies, since the outputs of an op may not share memory.
    grad_q, grad_k = (
        contrastive.through_rows(logit_scale * g, unit, norm, normalize).to(query.dtype, copy=True)
        for g, unit, norm in ((W @ k, q, q_norm), (W.T @ q, k, k_norm))
    )
    return (
        grad_q,
        grad_k,
        (W * s).sum().to(logit_scale.dtype),
        W.sum().to(logit_bias.dtype),
    )


def _logits_and_labels(
    s: Tensor,
    logit_scale: Tensor,
    logit_bias: Tensor,
    ids: Tensor | None,
    key_ids: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return the logit of each pair, and 1 where it is positive and -1 elsewhere, both (N, M)."""
    valid = (logit_scale > 0) & logit_scale.isfinite()
    x = s * logit_scale.masked_fill(~valid, math.nan) + logit_bias
    if ids is None or key_ids is None:
        queries, keys = (torch.arange(n, device=s.device) for n in s.shape)
        positive = contrastive.same(queries, keys)
    else:
        positive = contrastive.same(ids, key_ids)
    return x, 2 * positive.to(s.dtype) - 1


def _weights(x: Tensor, sign: Tensor) -> Tensor:
    """Return the derivative of each pair's loss by its logit."""
    return -sign * (-sign * x).sigmoid()
