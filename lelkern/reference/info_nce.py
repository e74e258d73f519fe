"""InfoNCE in plain PyTorch: the specification of the op, and its fallback.

Computed in float32, or float64 for float64 rows, with matrices of queries x keys. Both functions
are differentiable. ``temperature`` has no dimensions; one that is not a positive number gives nan.
"""

import torch
from torch import Tensor

from lelkern.reference import contrastive


def info_nce(
    query: Tensor,
    positive: Tensor,
    negatives: Tensor | None,
    temperature: Tensor,
    ids: Tensor | None = None,
    negative_ids: Tensor | None = None,
    normalize: bool = True,
    symmetric: bool = False,
    decoupled: bool = False,
    stats: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return loss, log-sum-exp over the candidates, and statistics of each query.

    The candidates are the positives of all queries, or its own and the negatives; but for its own
    positive none with its id. If symmetric, the N losses of the positives, which look for their
    queries, follow. Decoupled, the log-sum-exp is over the negatives alone.
    """
    q, _ = contrastive.rows(query, normalize)
    k, _ = contrastive.rows(positive, normalize)
    n = None if negatives is None else contrastive.rows(negatives, normalize)[0]
    x = contrastive.logits(_similarity(q, k, n), temperature)
    target, excluded = _masks(x, negatives is not None, ids, negative_ids)
    results = [
        (*contrastive.loss_of_one_positive(*way, decoupled), contrastive.statistics(*way, stats))
        for way in _directions(x, target, excluded, symmetric)
    ]
    loss, log_sum_exp, statistics = (torch.cat(parts, -1) for parts in zip(*results, strict=True))
    return loss, log_sum_exp, statistics


def info_nce_backward(
    grad: Tensor,
    query: Tensor,
    positive: Tensor,
    negatives: Tensor | None,
    temperature: Tensor,
    ids: Tensor | None = None,
    negative_ids: Tensor | None = None,
    normalize: bool = True,
    symmetric: bool = False,
    decoupled: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of query, positive, negatives (empty if there are none), temperature."""
    q, q_norm = contrastive.rows(query, normalize)
    k, k_norm = contrastive.rows(positive, normalize)
    n, n_norm = contrastive.rows(query[:0] if negatives is None else negatives, normalize)
    x = contrastive.logits(_similarity(q, k, None if negatives is None else n), temperature)
    target, excluded = _masks(x, negatives is not None, ids, negative_ids)
    ways = _directions(x, target, excluded, symmetric)
    grads = grad.chunk(len(ways))
    weights = [
        contrastive.weights_of_one_positive(g, *way, decoupled)
        for g, way in zip(grads, ways, strict=True)
    ]
    W = weights[0] + weights[1].T if symmetric else weights[0]  # (N, keys)
    if negatives is None:
        grad_q, grad_k, grad_n = W @ k, W.T @ q, torch.zeros_like(n)
    else:
        grad_q = W[:, :1] * k + W[:, 1:] @ n
        grad_k, grad_n = W[:, :1] * q, W[:, 1:].T @ q
    # Copies, since the outputs of an op may not share memory.
    grad_q, grad_k, grad_n = (
        contrastive.through_rows(g / temperature, unit, norm, normalize).to(query.dtype, copy=True)
        for g, unit, norm in ((grad_q, q, q_norm), (grad_k, k, k_norm), (grad_n, n, n_norm))
    )
    by_logits = [
        contrastive.sum_of_weighted(w, logits, target)
        for w, (logits, target, _) in zip(weights, ways, strict=True)
    ]
    grad_temperature = -sum(by_logits, x.new_zeros(())) / temperature
    return grad_q, grad_k, grad_n, grad_temperature.to(temperature.dtype)


def _similarity(q: Tensor, k: Tensor, n: Tensor | None) -> Tensor:
    """Return (N, N) with all keys, or MoCo's (N, 1 + K): the own key, then the negatives."""
    if n is None:
        return q @ k.T
    return torch.cat([(q * k).sum(dim=1, keepdim=True), q @ n.T], dim=1)


def _masks(
    x: Tensor, queue: bool, ids: Tensor | None, negative_ids: Tensor | None
) -> tuple[Tensor, Tensor]:
    rows = torch.arange(len(x), device=x.device)
    own = torch.zeros_like(rows) if queue else rows  # the column of each row's positive
    positive = torch.arange(x.shape[1], device=x.device) == own.unsqueeze(1)
    if ids is None:
        return positive, torch.zeros_like(positive)
    if negative_ids is None:
        return positive, contrastive.same(ids, ids) & ~positive
    return positive, torch.cat([positive[:, :1] & False, contrastive.same(ids, negative_ids)], 1)


def _directions(
    x: Tensor, positive: Tensor, excluded: Tensor, symmetric: bool
) -> list[tuple[Tensor, Tensor, Tensor]]:
    ways = [(x, positive, excluded)]
    return [*ways, (x.T, positive.T, excluded.T)] if symmetric else ways
