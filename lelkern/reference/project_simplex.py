"""Projection onto the simplex and the l1 ball in plain PyTorch: specification, and fallback.

Computed in float32, or float64 for float64 inputs. Rows are compared with their largest number, so
that nothing is lost where the radius is small beside it. Both functions are differentiable.
``radius`` has no dimensions, or (R,); a negative one gives nan.
"""

import math

import torch
from torch import Tensor

from lelkern.reference.prox_group import computed_in
from lelkern.reference.prox_l1 import nan_if_negative


def project_simplex(x: Tensor, radius: Tensor, l1: bool) -> tuple[Tensor, Tensor]:
    """Return the projections of rows (R, n), and the level theta that is taken off them (R,).

    y = max(x - theta, 0) sums to the radius; with ``l1`` that is so of |x| and |y|, unless the sum
    of |x| is not larger: then y is x, and theta 0. No theta has a row of nothing but -inf sum to
    anything: both are nan there, and the gradients with them, as where x or the radius is nan.
    """
    values = x.to(computed_in(x))
    radius = nan_if_negative(radius).to(values.dtype).expand(x.shape[0]).unsqueeze(1)
    size = values.abs() if l1 else values
    below, largest = _below_largest(size)
    inside = _is_inside(size, radius) if l1 else torch.zeros_like(largest, dtype=torch.bool)
    # Infinite for the l1 ball only.
    given = radius.masked_fill(inside, 1)
    unit = _unit(given, x.shape[1])
    depth = _depth(below * unit, given * unit) / unit
    y = (depth - below).clamp(min=0)
    if l1:
        y = torch.where(values < 0, -y, y)
        y = torch.where(inside, values, y)
    known = largest > -math.inf  # nor nan
    undefined = ~known | radius.isnan() | (~inside & (radius == math.inf))
    y = y.masked_fill(undefined, math.nan)
    theta = (largest - depth).masked_fill(inside, 0).masked_fill(undefined, math.nan)
    return y.to(x.dtype), theta.detach().squeeze(1)


def project_simplex_backward(
    grad: Tensor, x: Tensor, radius: Tensor, l1: bool
) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and radius, given that of the projections."""
    y, theta = project_simplex(x.detach().to(computed_in(x)), radius.detach(), l1)
    inside = (theta == 0).unsqueeze(1) & l1
    grad_y = grad.to(y.dtype)
    sign = y.sign()  # 0 where y is: for the l1 ball and the simplex
    count = sign.abs().sum(1, keepdim=True)
    mean = (sign * grad_y).sum(1, keepdim=True) / count.masked_fill(count == 0, 1)
    mean = mean.masked_fill(inside, 0)
    grad_x = torch.where(inside, grad_y, (grad_y - sign * mean).masked_fill(sign == 0, 0))
    undefined = theta.isnan().unsqueeze(1)
    grad_x = grad_x.masked_fill(undefined, math.nan).to(x.dtype)
    of_rows = mean.masked_fill(undefined, math.nan).squeeze(1)
    grad_radius = of_rows.sum() if radius.dim() == 0 else of_rows
    return grad_x, grad_radius.to(radius.dtype)


def _below_largest(size: Tensor) -> tuple[Tensor, Tensor]:
    """Return by how much numbers are below the largest of their row, and that; nan if all are -inf.

    Infinite ones share its place. The largest is taken as given, as the result does not depend on
    it.
    """
    if size.shape[1] == 0:
        return size, size.new_zeros((size.shape[0], 1))
    largest = size.detach().amax(1, keepdim=True)
    shares = (size == largest) & (largest == math.inf)
    return (largest - size).masked_fill(shares, 0), largest


def _is_inside(size: Tensor, radius: Tensor) -> Tensor:
    return size.detach().sum(1, keepdim=True) <= radius


def _unit(radius: Tensor, n: int) -> Tensor:
    """Return what a radius is multiplied by so that an n-th of it has all digits.

    And so that n times as much does not overflow.
    """
    numbers, times = torch.finfo(radius.dtype), 4 * (n + 1)
    unit = torch.where(radius > numbers.max / times, 1 / times, 1)
    large = times / numbers.eps
    return torch.where(radius < numbers.smallest_normal * large, large, unit)


def _depth(below: Tensor, radius: Tensor) -> Tensor:
    """Return the level's depth below the largest number: sum max(depth - below, 0) = radius."""
    if below.shape[1] == 0:
        return radius
    ordered = torch.minimum(below.detach(), radius.detach()).sort(1).values
    counts = torch.arange(1, below.shape[1] + 1, device=below.device, dtype=below.dtype)
    depths = (radius.detach() + ordered.cumsum(1)) / counts
    last = ((ordered < depths).sum(1, keepdim=True) - 1).clamp(min=0)
    depth = depths.gather(1, last)
    for _ in range(2):  # what a sum in another order has lost; and derivatives
        above = below < depth.detach()
        count = above.sum(1, keepdim=True).clamp(min=1)
        depth = (radius + below.masked_fill(~above, 0).sum(1, keepdim=True)) / count
    return depth
