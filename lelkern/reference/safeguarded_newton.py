"""Roots of many decreasing functions at once, each by Newton steps between bounds."""

from collections.abc import Callable

import torch
from torch import Tensor

STEPS = 500
STEPS_IN_THE_DARK = 30  # most functions need a dozen


def decreasing_root(
    newton: Callable[[Tensor], tuple[Tensor, Tensor]],
    low: Tensor,
    high: Tensor,
    tolerance: Tensor,
) -> Tensor:
    """Return for each element where a decreasing function of it is 0.

    The bounds close in on the root from both sides. Where Newton's step leads out of them, and at
    every eighth step, their middle is taken instead, so that eight steps for each bit suffice for
    any function. Where nobody can tell whether all are found, it ends after fewer.

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
        if i % 8 == 7:
            inside = small
        following = torch.where(inside, nearer, middle)
        x = torch.where(found, x, following)
        found = found | small | (high - low <= tolerance)
        if is_enough(found, i + 1, STEPS_IN_THE_DARK):
            break
    return x


def is_enough(found: Tensor, steps: int, steps_in_the_dark: int) -> bool:
    """Return whether all is found, or enough steps were taken where one cannot tell.

    Under ``torch.func.vmap`` a tensor has many values, and inside a tracer none.
    """
    try:
        return bool(found.all())
    except RuntimeError:
        return steps >= steps_in_the_dark
