"""Penalised least squares for linear tasks, up to a duality gap, and along a path of strengths."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lelkern.methods.multi_task._least_squares import LeastSquares
from lelkern.methods.multi_task._penalties import Penalty
from lelkern.optim import fista


@dataclass(frozen=True)
class Solution:
    """What a solver found.

    Attributes:
        coefficients: W (D, T).
        gap: the duality gap: how far the objective is above its smallest value at most.
        iterations: how many there were.
        converged: whether the gap is as small as was wanted.
    """

    coefficients: Tensor
    gap: float
    iterations: int
    converged: bool


def minimise(
    problem: LeastSquares,
    penalty: Penalty,
    strength: float,
    *,
    start: Tensor | None = None,
    tolerance: float = 1e-6,
    max_iterations: int = 10_000,
) -> Solution:
    """Minimise L(W) + strength * penalty(W) by :func:`lelkern.optim.fista`.

    Args:
        problem: L.
        penalty: what ties tasks together.
        strength: lambda, greater than 0.
        start: W (D, T) to begin with; zeros by default.
        tolerance: of the duality gap, as a share of L(0).
        max_iterations: to stop after in any case.

    Raises:
        ValueError: ``strength``, ``tolerance`` or ``max_iterations`` is out of range.
    """
    if not 0 < strength < math.inf:
        raise ValueError(f"strength must be positive and finite, got {strength}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be at least 0, got {tolerance}")
    if max_iterations < 1:
        raise ValueError(f"max_iterations must be at least 1, got {max_iterations}")
    w = torch.zeros_like(problem.moments) if start is None else start
    if problem.curvature == 0:  # no feature varies
        return Solution(torch.zeros_like(w), 0.0, 1, True)

    def smooth(w: Tensor) -> tuple[Tensor, Tensor]:
        gradient = problem.gradient(w)
        return problem.value(w, gradient), gradient

    found = fista(
        smooth,
        lambda w, step: penalty.prox(w, strength * step),
        w,
        lipschitz=problem.curvature,
        gap=lambda w: duality_gap(problem, penalty, strength, w),
        tol=tolerance * problem.at_zero,
        max_iter=max_iterations,
    )
    return Solution(found.x, found.gap, found.n_iter, found.converged)


def duality_gap(problem: LeastSquares, penalty: Penalty, strength: float, w: Tensor) -> float:
    """Return an upper bound of how far the objective at W (D, T) is above its smallest value."""
    gradient = problem.gradient(w)
    loss = float(problem.value(w, gradient))
    inner = 2 * problem.at_zero - float((problem.moments * w).sum())
    dual = penalty.dual(loss, inner, -gradient, strength)
    return loss + strength * penalty.value(w) - dual


def strengths(strongest: float, weakest: float, number: int) -> list[float]:
    """Return strengths from the strongest down to ``weakest`` times it, in equal ratios.

    Raises:
        ValueError: ``weakest`` is not in (0, 1), or ``number`` less than 1.
    """
    if not 0 < weakest < 1:
        raise ValueError(f"weakest must be in (0, 1), got {weakest}")
    if number < 1:
        raise ValueError(f"number must be at least 1, got {number}")
    return [strongest * weakest ** (i / max(number - 1, 1)) for i in range(number)]


def path(
    problem: LeastSquares,
    penalty: Penalty,
    along: Sequence[float],
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 10_000,
) -> Iterator[Solution]:
    """Yield the solution for each strength, each beginning where the one before ended.

    Args:
        problem: L.
        penalty: what ties tasks together.
        along: strengths; the path is quick where they fall.
        tolerance: as in :func:`minimise`.
        max_iterations: likewise, for each.
    """
    w: Tensor | None = None
    for strength in along:
        solution = minimise(
            problem,
            penalty,
            strength,
            start=w,
            tolerance=tolerance,
            max_iterations=max_iterations,
        )
        w = solution.coefficients
        yield solution
