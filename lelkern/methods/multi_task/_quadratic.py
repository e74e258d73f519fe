"""Quadratic penalties, whose solutions are those of linear equations."""

import torch
from torch import Tensor

from lelkern.methods.multi_task._least_squares import LeastSquares


def ridge(problem: LeastSquares, strength: float) -> Tensor:
    r"""Return W (D, T) of tasks on their own: L(W) + strength / 2 ||W||^2.

    Args:
        problem: L.
        strength: greater than 0.
    """
    moments = problem.moments.T[:, :, None]
    return torch.linalg.solve(_stiffened(problem, strength), moments)[:, :, 0].T


def towards_centres(
    problem: LeastSquares, strength: float, centre_strength: float, clusters: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Return tasks that are drawn to the centre of their cluster, and the centres.

    .. math:: L(W) + \frac{s}{2} \sum_t \|w_t - m_{k(t)}\|^2 + \frac{s_0}{2} \sum_k \|m_k\|^2

    minimised over the tasks w_t and the centres m_k. With one cluster it is mean regularisation:
    Evgeniou & Pontil, "Regularized Multi-Task Learning", KDD 2004, Equation 4.

    Args:
        problem: L.
        strength: s, greater than 0.
        centre_strength: s_0, greater than 0.
        clusters: (T,) int64, k of every task, from 0.

    Returns:
        W (D, T) and the centres (D, K).
    """
    # Given m, w_t = m + (G_t + s)^-1 (X'y_t - G_t m), G_t = X'X. What is left of L is quadratic in
    # m, with A_t = s (G_t + s)^-1 G_t = G_t - G_t (G_t + s)^-1 G_t and b_t = s (G_t + s)^-1 X'y_t.
    identity = torch.eye(problem.features, dtype=problem.x.dtype)
    moments = problem.moments.T[:, :, None]  # (T, D, 1)
    stiff = _stiffened(problem, strength).expand(problem.tasks, -1, -1)
    gram = problem.gram.expand(problem.tasks, -1, -1)
    solved = torch.linalg.solve(stiff, torch.cat([gram, moments], dim=2))
    own, pull = solved[:, :, :-1], solved[:, :, -1:]
    number = int(clusters.max()) + 1
    left = torch.zeros(number, *identity.shape, dtype=identity.dtype)
    right = torch.zeros(number, problem.features, 1, dtype=identity.dtype)
    left.index_add_(0, clusters, strength * own)
    right.index_add_(0, clusters, strength * pull)
    centres = torch.linalg.solve(left + centre_strength * identity, right)  # (K, D, 1)
    mine = centres[clusters]
    w = mine + pull - own @ mine
    return w[:, :, 0].T, centres[:, :, 0].T


def _stiffened(problem: LeastSquares, strength: float) -> Tensor:
    identity = torch.eye(problem.features, dtype=problem.x.dtype)
    return problem.gram + strength * identity
