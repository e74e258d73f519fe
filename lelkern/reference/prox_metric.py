"""Proximal operators in a diagonal metric, in plain PyTorch.

Computed in float32, or float64 for a float64 w. A threshold or a metric that is negative gives nan.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lelkern.reference.grouping import Grouping, grouping
from lelkern.reference.prox_l1 import nan_if_negative, soft_threshold


def prox_l1_metric(w: Tensor, metric: Tensor, lam: Tensor) -> Tensor:
    """Return argmin_x 1/2 sum_i d_i (x_i - w_i)^2 + sum_i lam_i |x_i|, like w.

    ``metric`` is d, of w's shape; ``lam`` has no dimensions or the shape of w.
    """
    dtype = _computed_in(w)
    lam = nan_if_negative(lam.to(dtype))
    d = _metric(metric, dtype)
    stays = (lam == 0) | ((lam == math.inf) & ~d.isnan())
    thresholds = torch.where(stays, lam, lam / d)
    return soft_threshold(w.to(dtype), thresholds).to(w.dtype)


def prox_group_lasso_metric(
    w: Tensor,
    metric: Tensor,
    lam: Tensor,
    group_ptr: Tensor | None = None,
    group_indices: Tensor | None = None,
) -> Tensor:
    """Return argmin_x 1/2 sum_i d_i (x_i - w_i)^2 + sum_g lam_g ||x_g||_2, like w.

    ``w`` is (A, N, B), of which group a B + b is w[a, :, b], or (numel,) with groups in CSR form;
    ``metric`` is d, of w's shape; ``lam`` has no dimensions or is (G,).

    With tau_i = lam_g / d_i, what is optimal has d_i (x_i - w_i) + lam_g x_i / ||x|| = 0, or
    x_i = w_i r / (r + tau_i) with r = ||x||; and x = 0 where ||w / tau|| <= 1.
    """
    dtype = _computed_in(w)
    groups = grouping(w, group_ptr, group_indices)
    v = groups.members(w).to(dtype)
    t = groups.unfold(nan_if_negative(lam.to(dtype)))
    d = _metric(groups.members(metric), dtype)
    largest = groups.largest(v.abs())
    # Relative to the largest of the group, so that no square overflows, nor all of them underflow.
    scale = groups.spread(torch.where((largest > 0) & largest.isfinite(), largest, 1))
    tau = groups.spread(t) / d
    # What overflows before it is divided by the scale may not overflow after it.
    tau = torch.where(tau.isinf(), groups.spread(t) / (d * scale), tau / scale)
    r, alive = _norm(groups, v.abs() / scale, tau)
    r = groups.spread(r)
    x = v * (r / (r + tau))

    def where(condition: Tensor, value: Tensor | float, x: Tensor) -> Tensor:
        return torch.where(groups.spread(condition), value, x)

    undefined = t.isnan() | (groups.largest((v.isnan() | d.isnan()).to(dtype)) > 0)
    x = where(~alive | t.isinf(), 0.0, x)
    x = where(largest.isinf() & t.isfinite(), v, x)
    x = where(undefined, math.nan, x)
    return groups.put(w, where(t == 0, v, x).to(w.dtype))


def prox_metric_(
    w: Sequence[Tensor],
    metric: Sequence[Tensor],
    lam1: Sequence[Tensor],
    lam: Sequence[Tensor],
    group_ptr: Sequence[Tensor],
    group_indices: Sequence[Tensor],
    sizes: Sequence[int],
) -> None:
    """Replace each tensor by its prox of lam1 ||x||_1 + lam ||x||_2 of each group in a metric.

    Arguments are those of :func:`lelkern.reference.prox_sgd.prox_group_`; ``metric`` is d of each
    tensor, of its shape.
    """
    remaining = iter(zip(group_ptr, group_indices, strict=True))
    for i, x in enumerate(w):
        n, b = sizes[2 * i : 2 * i + 2]
        listed = n == b == 0
        ptr, indices = next(remaining) if listed else (None, None)
        shape = (-1,) if listed else (-1, n, b)
        d, v = metric[i].reshape(shape), x.reshape(shape).to(_computed_in(x))
        if lam1:
            # The soft threshold comes first: what follows leaves signs as they are, and with them
            # the subgradients of the l1 norm.
            groups = grouping(v, ptr, indices)
            own = groups.spread(groups.unfold(lam1[i])).expand_as(groups.members(v))
            v = groups.put(v, prox_l1_metric(groups.members(v), groups.members(d), own))
        x.copy_(prox_group_lasso_metric(v, d, lam[i], ptr, indices).reshape(x.shape))


def _norm(groups: Grouping, size: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """Return r with ||y(r)|| = 1, y_i = size_i / (r + tau_i), and whether r > 0, of each group.

    1 / ||y(r)|| rises and is concave (Conn, Gould & Toint, "Trust-Region Methods", SIAM 2000, lemma
    7.3.1), so that from below Newton's steps towards 1 rise to the root and never pass it. It takes
    a few of them, but more where one number alone would have its root at 0 and others are smaller
    by orders of magnitude: r rises to them by half of itself a step, until their squares are below
    the rounding of 1. Where it costs something to look whether they have ended, there are 64.
    """
    alive = groups.sum((size / tau).nan_to_num(0, math.inf).square()) > 1
    tau = torch.where(size > 0, tau, 1)  # what is 0 adds nothing, whatever it is divided by
    bounds = [
        groups.largest((size - tau).clamp(min=0)),
        groups.sum(size.square()).sqrt() - groups.largest(tau),
    ]
    r = torch.maximum(*bounds)
    for taken in itertools.count(1):
        distance = groups.spread(r) + tau
        squares = (size / distance).square()
        square = groups.sum(squares)
        step = square * (square.sqrt() - 1) / groups.sum(squares / distance)
        rising = alive & (step > 0) & (r + step > r)
        r = torch.where(rising, r + step, r)
        if not rising.any() if _is_looked_at(size) else taken == 64:
            break
    return r, alive


def _is_looked_at(x: Tensor) -> bool:
    """Whether a look at values neither waits for a device nor stops a tracer."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def _metric(metric: Tensor, dtype: torch.dtype) -> Tensor:
    return nan_if_negative(metric.to(dtype)).abs()  # also of -0


def _computed_in(w: Tensor) -> torch.dtype:
    return torch.float64 if w.dtype == torch.float64 else torch.float32
