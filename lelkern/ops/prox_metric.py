"""Proximal operators in a diagonal metric: those that belong to a step of Adam."""

import torch
from torch import Tensor

from lelkern.ops._dtypes import check_floating
from lelkern.ops._groups import Dims
from lelkern.ops._prox import Groups, Threshold, Weights, elementwise_lists, group_lists
from lelkern.ops._prox_lists import prox_metric_


def prox_l1_metric(w: Tensor, metric: Tensor, lam: Threshold) -> Tensor:
    r"""Return the soft threshold in a diagonal metric.

    .. math::

        \operatorname{argmin}_x \tfrac12 \sum_i d_i (x_i - w_i)^2 + \lambda \lVert x \rVert_1
        = \operatorname{sign}(w) \max(|w| - \lambda / d, 0)

    A threshold of 0 returns w, whatever the metric, and one of infinity 0 unless something is nan.
    Gradients are not recorded.

    Args:
        w: floating point, of any shape.
        metric: d >= 0, of the shape of w, floating point. Where it is 0 nothing holds x, which
            becomes 0 unless lam is. What is negative gives nan.
        lam: lambda >= 0, a number, or a tensor with one element or of the shape of w.

    Returns:
        Like w; computed in float32, or float64 for a float64 w.

    Raises:
        TypeError: w, metric or lam is not floating point, or w or metric is not dense.
        ValueError: shapes or devices do not match, or lam is known to be negative.
    """
    _check(w, metric)
    x = w.detach().clone()
    prox_metric_("w", elementwise_lists([x], lam), [metric])
    return x


def prox_group_lasso_metric(
    w: Tensor,
    metric: Tensor,
    lam: Threshold,
    *,
    dim: Dims | None = None,
    groups: Groups | None = None,
    weights: Weights = None,
) -> Tensor:
    r"""Return the proximal operator of the group lasso in a diagonal metric.

    .. math::

        \operatorname{argmin}_x \tfrac12 \sum_i d_i (x_i - w_i)^2
            + \sum_g \lambda_g\, \mathrm{weight}_g\, \lVert x_g \rVert_2

    A group is 0 where ||d w||_2 is at most its threshold t, and otherwise
    x_i = d_i w_i / (d_i + t / r) with the norm r = ||x||_2: the root of
    sum_i (d_i w_i / (d_i r + t))^2 = 1, which is that of a trust region, found by Newton's method
    on 1 / norm (Hebden 1973; Moré & Sorensen, "Computing a Trust Region Step", 1983). It rises to
    the root from below, and ends where rounding does.

    Groups, weights and values at the limits are those of :func:`lelkern.prox_group_lasso`.
    Gradients are not recorded.

    Args:
        w: floating point, of any shape.
        metric: d >= 0, of the shape of w, floating point. Where it is 0 nothing holds x, which
            becomes 0 unless the threshold is, or w is infinite. What is negative makes its group
            nan.
        lam: lambda >= 0, a number, or a tensor with one element or (G,).
        dim: the dimensions that a norm is taken over; or
        groups: the shape of a block, or :class:`lelkern.CSRGroups`.
        weights: None, ``"sqrt_size"`` or a tensor (G,) >= 0.

    Returns:
        Like w; computed in float32, or float64 for a float64 w.

    Raises:
        TypeError: w, metric, lam or weights is not floating point, or w or metric is not dense.
        ValueError: shapes or devices do not match, groups do not fit w, or lam or weights is known
            to be negative.
    """
    _check(w, metric)
    x = w.detach().clone()
    lists = group_lists("w", [x], lam=("lam", lam), dim=dim, groups=groups, weights=weights)
    prox_metric_("w", lists, [metric])
    return x


def _check(w: Tensor, metric: Tensor) -> None:
    for name, x in (("w", w), ("metric", metric)):
        check_floating(name, x)
        if x.layout != torch.strided:
            raise TypeError(f"{name} must be dense, got {x.layout}")
    if metric.shape != w.shape:
        raise ValueError(
            f"metric must have the shape of w, {tuple(w.shape)}, got {tuple(metric.shape)}"
        )
    if metric.device != w.device:
        raise ValueError(f"metric must be on the device of w, {w.device}, got {metric.device}")
