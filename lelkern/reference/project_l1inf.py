"""Projection onto the ball of the l1,inf norm in plain PyTorch: specification, and fallback.

Computed in float32, or float64 for float64 inputs. ``radius`` has no dimensions, or (P,); a
negative one gives nan. Both functions are differentiable.
"""

import math

import torch
from torch import Tensor

from lelkern.reference.prox_group import computed_in
from lelkern.reference.prox_l1 import nan_if_negative
from lelkern.reference.safeguarded_newton import decreasing_root


def project_l1inf(x: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Return the projections of matrices (P, G, n), and the level that rows are cut at (P, G).

    y = sign(x) min(|x|, level); levels sum to the radius. They are infinite where x is in the ball,
    and 0 for rows that vanish.
    """
    values = x.to(computed_in(x))
    radius = nan_if_negative(radius).to(values.dtype).expand(x.shape[0]).reshape(-1, 1, 1)
    if x.shape[1] == 0 or x.shape[2] == 0:
        return x.clone(), values.new_full(x.shape[:2], math.inf)
    tops = values.detach().abs().amax(2, keepdim=True)  # (P, G, 1), as what is of a row
    largest = tops.amax(1, keepdim=True)  # (P, 1, 1), as what is of a matrix
    scale = largest.where((largest > 0) & (largest < math.inf), 1)
    undefined = largest.isnan() | radius.isnan() | ((largest == math.inf) & (radius != math.inf))
    inside = (tops / scale).sum(1, keepdim=True) <= radius.detach() / scale
    ordinary = ~(inside | undefined)
    relative = (values.abs() / scale).where(ordinary, 1)
    share = (radius / scale).where(ordinary, 0.5)
    level = _levels(relative, share) * scale
    level = level.masked_fill(inside, math.inf).masked_fill(undefined, math.nan)
    y = torch.minimum(values.abs(), level)
    y = torch.where(inside, values, torch.where(values < 0, -y, y)).masked_fill(undefined, math.nan)
    return y.to(x.dtype), level.detach().squeeze(2)


def project_l1inf_backward(grad: Tensor, x: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and radius, given that of the projections.

    In the ball, which is everything where the radius is infinite, they are that and 0; in a ball of
    radius 0, where no row is left, both are 0.
    """
    values = x.detach().to(computed_in(x))
    level = project_l1inf(values, radius.detach())[1].unsqueeze(2)
    grad_y = grad.to(values.dtype)
    cut = (values.abs() >= level) & (level < math.inf)  # what is in the ball may be infinite
    alive = level > 0
    sign = values.sign()
    count = cut.sum(2, keepdim=True).to(grad_y.dtype)
    own = (alive & (count > 0)).to(grad_y.dtype) / count.clamp(min=1)  # 1 / count of rows cut
    along = (sign * grad_y).masked_fill(~cut, 0).sum(2, keepdim=True) * own
    shares = own.sum(1, keepdim=True)
    mean = along.sum(1, keepdim=True) / shares.masked_fill(shares == 0, 1)
    grad_x = torch.where(cut, sign * (along - mean * own), grad_y).masked_fill(~alive, 0)
    undefined = level.isnan()
    grad_x = grad_x.masked_fill(undefined, math.nan).to(x.dtype)
    of_matrices = mean.reshape(-1)
    if x.shape[1]:
        of_matrices = of_matrices.masked_fill(undefined[:, 0, 0], math.nan)
    grad_radius = of_matrices.sum() if radius.dim() == 0 else of_matrices
    return grad_x, grad_radius.to(radius.dtype)


def _levels(size: Tensor, radius: Tensor) -> Tensor:
    """Return the levels (P, G, 1) of what is not in the ball, relative to a largest number of 1.

    Each row that does not vanish loses the same, theta, to its level mu: sum max(size - mu, 0) is
    theta. So mu is (S_k - theta) / k, with S_k the sum of the k largest numbers of the row, for
    theta from breaks[k - 1] to breaks[k]; and the levels have to sum to the radius.
    """
    ordered = size.detach().sort(2, descending=True).values
    sums = ordered.cumsum(2)
    n = size.shape[2]
    counts = torch.arange(1, n + 1, device=size.device, dtype=size.dtype)
    after = torch.cat([ordered[..., 1:], torch.zeros_like(ordered[..., :1])], 2)
    breaks = (sums - counts * after).cummax(2).values  # cummax: against roundings

    def at(theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return the levels, and how many numbers are cut there; 0 and infinitely many of none."""
        index = torch.searchsorted(breaks, theta.expand(*size.shape[:2], 1).contiguous())
        vanished = index >= n
        index = index.clamp(max=n - 1)
        count = counts[index]
        level = ((sums.gather(2, index) - theta) / count).clamp(min=0)
        return level.masked_fill(vanished, 0), count.masked_fill(vanished, math.inf)

    def newton(theta: Tensor) -> tuple[Tensor, Tensor]:
        level, count = at(theta)
        value = level.sum(1, keepdim=True) - radius.detach()
        return value, value / (1 / count).sum(1, keepdim=True)

    low = torch.zeros_like(radius.detach())
    high = sums[..., -1:].amax(1, keepdim=True)
    theta = decreasing_root(newton, low, high, torch.finfo(size.dtype).eps * high)
    level, _ = at(theta)
    # Once more, from sums that have lost nothing, and with derivatives.
    alive = level > 0
    cut = (size >= torch.minimum(level, ordered[..., :1])) & alive
    count = cut.sum(2, keepdim=True).clamp(min=1)
    own = alive.to(size.dtype) / count
    sums = size.masked_fill(~cut, 0).sum(2, keepdim=True)
    shares = own.sum(1, keepdim=True)
    theta = ((sums * own).sum(1, keepdim=True) - radius) / shares.masked_fill(shares == 0, 1)
    return (sums * own - theta * own).clamp(min=0)
