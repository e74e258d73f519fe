"""What the norms of any q between 1 and infinity ask of a group: a root, by Newton's method.

The minimiser x >= 0 of 1/2 ||x - v||^2 + t ||x||_q satisfies, with c = ||x||_q and y = x / c,

    c y_i + t y_i^(q-1) = v_i for every i,  sum_i y_i^q = 1,

unless it is 0. With e, the larger one of q - 1 and 1 / (q - 1), and s = y for q >= 2, or
s = y^(q-1) for q < 2, both cases are one:

    a s_i + b s_i^e = v_i,  sum_i s_i^(e+1) = 1,

where a, b are c, t for q >= 2, and t, c for q < 2. The first equations have one root each, convex
functions of log s_i, in which also large e cost no digits; the second is decreasing in c.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lelkern.reference.grouping import Grouping
from lelkern.reference.safeguarded_newton import decreasing_root, is_enough


class Direction(NamedTuple):
    """What x is made of, where v is not 0; all differentiable.

    Attributes:
        norm: c, one of groups.
        y: members, x / c; 0 where v is.
        slope: y^(q-1), the gradient of ||x||_q.
        power: y^q.
        inverse: 1 / (c + t (q-1) y^(q-2)); where v is 0 its limit, 1 / c or 0.
        x: members.
    """

    norm: Tensor
    y: Tensor
    slope: Tensor
    power: Tensor
    inverse: Tensor
    x: Tensor


def direction(v: Tensor, t: Tensor, q: float, groups: Grouping) -> Direction:
    """Return the minimiser and what it is made of.

    Args:
        v: members, in [0, 1], of which each group has one that is 1.
        t: of groups, in [0, ||v||_q').
        q: the norm, in (1, inf).
        groups: of both.
    """
    equation = _Equation(v, t, q, groups)
    log_s, c = _Equation(v.detach(), t.detach(), q, groups).solve()
    # Newton's method doubles the number of derivatives that are right, as it does that of digits.
    for _ in range(2):
        log_s, c = equation.improve(log_s, c)
    return equation.direction(log_s, c)


class _Equation:
    def __init__(self, v: Tensor, t: Tensor, q: float, groups: Grouping) -> None:
        self.there = v > 0
        self.v = v.where(self.there, 1)
        self.t, self.q, self.groups = t, q, groups
        self.flat = q >= 2
        self.e = q - 1 if self.flat else 1 / (q - 1)

    def sum(self, members: Tensor) -> Tensor:
        return self.groups.sum(members.where(self.there, 0))

    def factors(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return a and b, for members."""
        a, b = (c, self.t) if self.flat else (self.t, c)
        return self.groups.spread(a), self.groups.spread(b)

    def parts(self, log_s: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a s, b s^e, and what c is multiplied by in their sum."""
        a, b = self.factors(c)
        s, power = log_s.exp(), (self.e * log_s).exp()
        return a * s, b * power, s if self.flat else power

    def solve(self) -> tuple[Tensor, Tensor]:
        """Return log s and c to some digits."""
        members = self.sum(torch.ones_like(self.v))
        norm = self.sum((self.q * self.v.log()).exp()) ** (1 / self.q)
        low = norm - self.t * members ** max(0.0, 2 / self.q - 1)
        low = low.clamp(min=0)
        log_s = self._upper(low)

        def newton(c: Tensor) -> tuple[Tensor, Tensor]:
            nonlocal log_s
            log_s = self._inner(log_s, c)
            return self._outer(log_s, c)

        # What improves them afterwards squares what is left. float32 has fewer digits.
        near = max(1e-9, 16 * torch.finfo(norm.dtype).eps)
        c = decreasing_root(newton, low, torch.maximum(norm, low), near * (norm + self.t))
        return self._inner(log_s, c), c

    def _upper(self, c: Tensor) -> Tensor:
        """Return log s where only the larger one of a s and b s^e were there."""
        a, b = self.factors(c)
        return torch.minimum((self.v / a).log(), (self.v / b).log() / self.e)

    def _inner(self, log_s: Tensor, c: Tensor) -> Tensor:
        """Return log s given c, from a start; the root is approached from above."""
        upper = self._upper(c)
        log_s = torch.minimum(log_s, upper)
        near = max(1e-13, 16 * torch.finfo(c.dtype).eps)
        for i in range(50):
            first, second, _ = self.parts(log_s, c)
            missing = self.v - first - second
            log_s = torch.minimum(log_s + missing / (first + self.e * second), upper)
            if is_enough(missing.abs() <= near * self.v, i + 1, 12):
                break
        return log_s

    def _outer(self, log_s: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return log sum s^(e+1), and Newton's step in c for a function that is nearly linear."""
        first, second, beside = self.parts(log_s, c)
        powers = ((self.e + 1) * log_s).exp()
        total = self.sum(powers)
        slope = -(self.e + 1) * self.sum(powers * beside / (first + self.e * second))
        exponent = -1 / self.q if not self.flat else max(0.0, (self.q - 3) / self.q)
        value = total.log()
        # Of total^exponent, or its logarithm.
        change = value if exponent == 0 else -torch.expm1(-exponent * value) / exponent
        return value, -change * total / slope

    def improve(self, log_s: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return log s and c after a step of Newton's method in all of them."""
        first, second, beside = self.parts(log_s, c)
        weight = 1 / (first + self.e * second)
        missing = self.v - first - second
        powers = ((self.e + 1) * log_s).exp()
        missing_sum = (1 - self.sum(powers)) / (self.e + 1)
        step = (self.sum(powers * missing * weight) - missing_sum) / self.sum(
            powers * beside * weight
        )
        c_next = (c + step).clamp(min=torch.finfo(c.dtype).tiny)
        spread = self.groups.spread(c_next - c)
        return log_s + (missing - beside * spread) * weight, c_next

    def direction(self, log_s: Tensor, c: Tensor) -> Direction:
        s, high = log_s.exp(), (self.e * log_s).exp()
        power = ((self.e + 1) * log_s).exp()
        a, b = self.factors(c)
        lesser = self.e * ((self.e - 1) * log_s).exp()
        if self.flat:
            y, slope, inverse = s, high, 1 / (a + b * lesser)
            x, limit = a * s, 1 / a
        else:
            y, slope, inverse = high, s, lesser / (a + b * lesser)
            # Whichever of two ways loses no digits.
            x, limit = torch.where(2 * a * s < self.v, self.v - a * s, b * high), 0 * a
        y, slope, power, x = (z.where(self.there, 0) for z in (y, slope, power, x))
        return Direction(c, y, slope, power, inverse.where(self.there, limit), x)
