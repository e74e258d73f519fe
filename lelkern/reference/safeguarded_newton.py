"""Roots of many decreasing functions at once, each by Newton steps between bounds."""

from collections.abc import Callable

import torch
from torch import Tensor

STEPS = 160


def decreasing_root(
    newton: Callable[[Tensor], tuple[Tensor, Tensor]],
    low: Tensor,
    high: Tensor,
    tolerance: Tensor,
) -> Tensor:
    """Return for each element where a decreasing function of it is 0.

    The bounds close in on the root from both sides. Where Newton's step leads out of them, and at
    every third step, their middle is taken instead, so that as many steps as there are bits suffice
    for any function.

    Args:
        newton: from places to the values of the functions there, and Newton's steps.
        low: bounds, and where it starts: nowhere above the root.
        high: bounds, nowhere below the root.
        tolerance: the length of a step after which no other is needed.
    """
    x = low
    found = torch.zeros_like(x, dtype=torch.bool)
    for i in range(STEPS):
        value, step = newton(x)
        low = torch.where(value >= 0, x, low)
        high = torch.where(value >= 0, high, x)
        middle = low + (high - low) / 2
        nearer = x + step
        inside = (nearer >= low) & (nearer <= high)
        small = inside & (step.abs() <= tolerance)
        if i % 3 == 2:
            inside = small
        following = torch.where(inside, nearer, middle)
        x = torch.where(found, x, following)
        found = found | small | (high - low <= tolerance)
        if all_known(found):
            break
    return x


def all_known(condition: Tensor) -> bool:
    """Return whether a condition holds everywhere, as far as one can tell.

    Under ``torch.func.vmap`` a tensor has many values, and one cannot.
    """
    try:
        return bool(condition.all())
    except RuntimeError:
        return False
