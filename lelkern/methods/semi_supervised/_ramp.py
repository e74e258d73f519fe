"""How the weight of what is learned without labels rises from 0, or nearly 0, to its full value."""

import math


def sigmoid_ramp(done: float, length: float) -> float:
    """Return exp(-5 (1 - t)^2) with t from 0 to 1 over the ramp (Laine & Aila 2017, Section 2.1).

    Args:
        done: share of all steps that has been done.
        length: share over which the weight rises; 0 for the full weight at once.
    """
    return math.exp(-5 * (1 - _along(done, 0, length)) ** 2)


def linear_ramp(done: float, start: float, end: float) -> float:
    """Return 0 up to ``start``, 1 from ``end`` on, and a straight line between them.

    Args:
        done: share of all steps that has been done.
        start: share up to which the weight is 0.
        end: share from which on it is full.
    """
    return _along(done, start, end)


def _along(done: float, start: float, end: float) -> float:
    if done >= end:
        return 1.0
    return 0.0 if done <= start else (done - start) / (end - start)
