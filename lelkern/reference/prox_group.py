"""The group lasso's proximal operator in plain PyTorch: the specification, and the fallback.

Computed in float32, or float64 for float64 inputs; roots of general q in float64 where the
device has it. Groups are those
of ``grouping``; ``lam`` and ``lam1`` have no dimensions, or (G,), and negative ones give nan. Both
functions are differentiable.

Of each group u = sign(w) max(|w| - lam1, 0) is taken, and of that the minimiser of
1/2 ||x - u||^2 + lam ||x||_q. All is relative to m, the largest |u| of the group, so that no power
overflows, nor underflows where it matters.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lelkern.reference.grouping import Grouping, grouping
from lelkern.reference.lq_root import Direction, direction
from lelkern.reference.precision import widened
from lelkern.reference.prox_l1 import nan_if_negative, soft_threshold, soft_threshold_backward
from lelkern.reference.safeguarded_newton import decreasing_root


def prox_group(
    w: Tensor,
    lam1: Tensor | None,
    lam: Tensor,
    group_ptr: Tensor | None,
    group_indices: Tensor | None,
    q: float,
) -> tuple[Tensor, Tensor]:
    """Return x like w, and the root of each group (G,) in the dtype of computation.

    The root is ||u|| for q = 2; for q = inf the level that |u| is cut at, and otherwise ||x||_q,
    both of them 0 where x is.
    """
    groups = grouping(w, group_ptr, group_indices)
    problem = _problem(w, lam1, lam, groups, q)
    if q == 2:
        x, root = _l2(problem)
    elif q == math.inf:
        x, root = _linf(problem)
    else:
        x, root = _lq(problem, q)
    x = problem.defined(x)
    infinite, undefined = problem.infinite, problem.undefined
    root = root.masked_fill(infinite, math.inf).masked_fill(undefined, math.nan)
    root = groups.fold(root).to(computed_in(w))
    return groups.put(w, x.to(w.dtype)), root


def prox_group_backward(
    grad: Tensor,
    w: Tensor,
    lam1: Tensor | None,
    lam: Tensor,
    group_ptr: Tensor | None,
    group_indices: Tensor | None,
    q: float,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return the gradients of w, lam1 and lam, given that of x."""
    groups = grouping(w, group_ptr, group_indices)
    problem = _problem(w, lam1, lam, groups, q)
    grad_x = groups.members(grad).to(problem.u.dtype)
    if q == 2:
        grad_u, grad_t = _l2_backward(grad_x, problem)
    elif q == math.inf:
        grad_u, grad_t = _linf_backward(grad_x, problem)
    else:
        grad_u, grad_t = _lq_backward(grad_x, problem, q)
    grad_u, grad_t = problem.defined_gradients(grad_x, grad_u, grad_t)
    grad_lam = _like(lam, groups.fold(grad_t))
    if lam1 is None:
        return groups.put(grad, grad_u.to(w.dtype)), None, grad_lam
    members, threshold = groups.members(w).to(grad_u.dtype), _unfolded(lam1, grad_u, groups)
    grad_w, grad_members = soft_threshold_backward(grad_u, members, groups.spread(threshold))
    grad_w = grad_w.masked_fill(groups.spread(problem.undefined), math.nan)
    of_lam1 = groups.sum(grad_members).masked_fill(problem.undefined, math.nan)
    grad_lam1 = _like(lam1, groups.fold(of_lam1))
    return groups.put(grad, grad_w.to(w.dtype)), grad_lam1, grad_lam


def computed_in(w: Tensor) -> torch.dtype:
    """Return the dtype of thresholds and roots."""
    return torch.float64 if w.dtype == torch.float64 else torch.float32


def _unfolded(threshold: Tensor, like: Tensor, groups: Grouping) -> Tensor:
    return groups.unfold(nan_if_negative(threshold).to(like.dtype))


def _like(threshold: Tensor, of_groups: Tensor) -> Tensor:
    """Return the gradient of a threshold for all groups, or of one for each."""
    return (of_groups.sum() if threshold.dim() == 0 else of_groups).to(threshold.dtype)


class _Problem(NamedTuple):
    """Groups and their thresholds.

    Attributes:
        groups: of what follows.
        u: members, after the soft threshold.
        t: of groups, nan where undefined.
        scale: of groups, the largest |u|, or 1 where that is 0, infinite or nan.
        v: members, |u| / scale; 0 in infinite groups.
        tau: of groups, t / scale; 0 where t is nan.
        infinite: of groups, whether |u| is infinite somewhere and t is not: x is u.
        undefined: of groups, whether x is nan.
    """

    groups: Grouping
    u: Tensor
    t: Tensor
    scale: Tensor
    v: Tensor
    tau: Tensor
    infinite: Tensor
    undefined: Tensor

    def spread(self, of_groups: Tensor) -> Tensor:
        return self.groups.spread(of_groups)

    def sum(self, members: Tensor) -> Tensor:
        return self.groups.sum(members)

    def defined(self, x: Tensor) -> Tensor:
        """Return x where it is not u, nor nan."""
        x = torch.where(self.spread((self.t == 0) | self.infinite), self.u, x)
        return x.masked_fill(self.spread(self.undefined), math.nan)

    def defined_gradients(
        self, grad: Tensor, grad_u: Tensor, grad_t: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the gradients where x is not u, nor nan."""
        grad_u = torch.where(self.spread((self.t == 0) | self.infinite), grad, grad_u)
        grad_t = grad_t.masked_fill(self.infinite, 0)
        return (
            grad_u.masked_fill(self.spread(self.undefined), math.nan),
            grad_t.masked_fill(self.undefined, math.nan),
        )


def _problem(w: Tensor, lam1: Tensor | None, lam: Tensor, groups: Grouping, q: float) -> _Problem:
    members = groups.members(w)
    u = members.to(computed_in(w)) if q in (2, math.inf) else widened(members)
    if lam1 is not None:
        u = soft_threshold(u, groups.spread(_unfolded(lam1, u, groups)))
    t = _unfolded(lam, u, groups)
    largest = groups.largest(u.detach().abs())
    undefined = (largest.isnan() & (t != 0)) | t.isnan()
    infinite = (largest == math.inf) & (t != math.inf) & ~undefined
    ordinary = (largest > 0) & (largest < math.inf)
    scale = largest.where(ordinary, 1)
    v = (u.abs() / groups.spread(scale)).where(groups.spread(ordinary), 0)
    tau = t.masked_fill(t.isnan(), 0) / scale
    return _Problem(groups, u, t, scale, v, tau, infinite, undefined)


def _l2(p: _Problem) -> tuple[Tensor, Tensor]:
    norm, dead = _l2_norm(p)
    factor = (1 - p.tau / norm.masked_fill(dead, 1)).masked_fill(dead, 0)
    x = (p.u * p.spread(factor)).masked_fill(p.spread(dead), 0)
    return x, norm * p.scale


def _l2_backward(grad: Tensor, p: _Problem) -> tuple[Tensor, Tensor]:
    norm, dead = _l2_norm(p)
    norm = norm.masked_fill(dead, 1)
    direction = p.u.sign() * p.v / p.spread(norm)
    along = p.sum(direction * grad).masked_fill(dead, 0)
    ratio = p.tau.masked_fill(dead, 1) / norm
    grad_u = p.spread(1 - ratio) * grad + p.spread(ratio * along) * direction
    return grad_u.masked_fill(p.spread(dead), 0), -along


def _l2_norm(p: _Problem) -> tuple[Tensor, Tensor]:
    """Return ||v||, and where it is not above tau."""
    square = p.sum(p.v * p.v)
    zero = square == 0
    norm = square.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)
    return norm, norm <= p.tau


def _linf(p: _Problem) -> tuple[Tensor, Tensor]:
    level, dead, _ = _linf_level(p)
    level = (level * p.scale).masked_fill(dead, 0)
    cut = torch.minimum(p.u.abs(), p.spread(level))
    return torch.where(p.u < 0, -cut, cut), level


def _linf_backward(grad: Tensor, p: _Problem) -> tuple[Tensor, Tensor]:
    _, dead, cut = _linf_level(p)
    count = p.sum(cut.to(grad.dtype)).masked_fill(dead, 1)
    sign = p.u.sign()
    mean = (p.sum((sign * grad).masked_fill(~cut, 0)) / count).masked_fill(dead, 0)
    grad_u = torch.where(cut, sign * p.spread(mean), grad)
    return grad_u.masked_fill(p.spread(dead), 0), -mean


def _linf_level(p: _Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Return the level relative to the scale, where it is 0, and the members that are cut there.

    Members at the level count as cut, so that there are some also where it is nearly the largest.
    """
    total = p.sum(p.v)
    dead = total <= p.tau
    v, tau = p.v.detach(), p.tau.detach()
    tau = tau.masked_fill(dead, 0)

    def newton(level: Tensor) -> tuple[Tensor, Tensor]:
        above = v - p.spread(level)
        value = p.sum(above.clamp(min=0)) - tau
        return value, value / p.sum((above >= 0).to(v.dtype))

    members = p.sum(torch.ones_like(v)).clamp(min=1)
    low = ((total.detach() - tau) / members).clamp(min=0).nan_to_num(0)
    # The largest is 1, or 0 where the group is.
    high = torch.ones_like(low)
    level = decreasing_root(newton, low, high, torch.full_like(low, torch.finfo(v.dtype).eps))
    # Once more from where it is, where all terms are small, and with derivatives.
    level = level.clamp(max=1)
    cut = v >= p.spread(level)
    count = p.sum(cut.to(v.dtype)).clamp(min=1)
    above = (p.v - p.spread(level)).masked_fill(~cut, 0)
    level = level + (p.sum(above) - p.tau.masked_fill(dead, 0)) / count
    level = level.clamp(max=1)
    return level, dead, v >= p.spread(level.detach())


def _lq(p: _Problem, q: float) -> tuple[Tensor, Tensor]:
    d, dead = _lq_direction(p, q)
    x = (p.spread(p.scale) * d.x).masked_fill(p.spread(dead), 0)
    return torch.where(p.u < 0, -x, x), (d.norm * p.scale).masked_fill(dead, 0)


def _lq_backward(grad: Tensor, p: _Problem, q: float) -> tuple[Tensor, Tensor]:
    d, dead = _lq_direction(p, q)
    slope = p.u.sign() * d.slope
    along = p.sum(d.inverse * slope * grad) / p.sum(d.inverse * d.power)
    along = along.masked_fill(dead, 0)
    tau = p.tau.masked_fill(dead, 0)
    grad_u = d.inverse * (p.spread(d.norm) * grad + p.spread(tau * (q - 1) * along) * slope)
    return grad_u.masked_fill(p.spread(dead), 0), -along


def _lq_direction(p: _Problem, q: float) -> tuple[Direction, Tensor]:
    """Return the direction for general q, and where x is 0: there it is that of other numbers."""
    conjugate = q / (q - 1)
    positive = p.v > 0
    powers = (conjugate * p.v.where(positive, 1).log()).exp().where(positive, 0)
    total = p.sum(powers)
    norm = total.where(total > 0, 1) ** (1 / conjugate)
    dead = ~(norm.where(total > 0, 0) > p.tau)  # or undefined
    v = p.v.masked_fill(p.spread(dead), 1)
    return direction(v, p.tau.masked_fill(dead, 0), q, p.groups), dead
