"""Penalties that tie linear tasks together, by what a solver asks of them.

All are functions of coefficients W (D, T), a row for each feature and a column for each task.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lelkern.methods.multi_task._least_squares import LeastSquares
from lelkern.ops import prox_group_lasso, prox_l1, prox_nuclear, prox_sparse_group_lasso


class Penalty(Protocol):
    """A convex function of coefficients whose proximal operator is known."""

    def value(self, w: Tensor) -> float:
        """Return the penalty of coefficients (D, T)."""

    def prox(self, w: Tensor, strength: float) -> Tensor:
        """Return argmin_x 1/2 ||x - w||^2 + strength * penalty(x)."""

    def strongest(self, problem: LeastSquares) -> float:
        """Return where a path of strengths begins.

        For a norm it is the smallest strength at which all coefficients are zero.
        """

    def dual(self, loss: float, inner: float, correlations: Tensor, strength: float) -> float:
        """Return a lower bound of the smallest objective: the dual objective at a point.

        The point is the multiple of the residuals r = y - X w at which it is largest.

        Args:
            loss: 1/2 ||r||^2.
            inner: r'y.
            correlations: X'r of every task, (D, T).
            strength: what the penalty is multiplied by.
        """


class Norm:
    """What all norms have in common, given the dual norm."""

    def dual_norm(self, w: Tensor) -> float:
        """Return max of <w, x> over x whose norm is at most 1."""
        raise NotImplementedError

    def strongest(self, problem: LeastSquares) -> float:
        """Return the dual norm of X'y: with it, and no less, W = 0 is optimal."""
        return self.dual_norm(problem.moments)

    def dual(self, loss: float, inner: float, correlations: Tensor, strength: float) -> float:
        """Return max over s of s r'y - s^2/2 ||r||^2 where s r is feasible (see ``Penalty``)."""
        if loss <= 0:
            return 0.0
        largest = self.dual_norm(correlations)
        bound = strength / largest if largest > 0 else math.inf
        scale = min(max(inner / (2 * loss), -bound), bound)
        return scale * inner - scale**2 * loss


@dataclass(frozen=True)
class RowNorm(Norm):
    r"""The l1/lq norm of W: :math:`\sum_i \|w^i\|_q` over the rows (features).

    With q = 1 it is the lasso, in which tasks have nothing to do with each other; with q > 1 they
    use the same features.

    Attributes:
        q: at least 1; ``math.inf`` for the largest.
    """

    q: float = 2.0

    def value(self, w: Tensor) -> float:
        """Return the norm."""
        return float(torch.linalg.vector_norm(w, self.q, dim=1).sum())

    def dual_norm(self, w: Tensor) -> float:
        """Return the largest l_q' norm of a row, 1/q + 1/q' = 1."""
        conjugate = (
            math.inf if self.q == 1 else 1.0 if self.q == math.inf else self.q / (self.q - 1)
        )
        return float(torch.linalg.vector_norm(w, conjugate, dim=1).max())

    def prox(self, w: Tensor, strength: float) -> Tensor:
        """Return the rows, shrunk."""
        if self.q == 1:
            return prox_l1(w, strength)
        return prox_group_lasso(w, strength, dim=1, q=self.q)


@dataclass(frozen=True)
class SparseGroup(Norm):
    r"""Rows and entries at once: :math:`\rho \|W\|_1 + (1 - \rho) \sum_i \|w^i\|_q`.

    Source: Simon, Friedman, Hastie & Tibshirani, "A Sparse-Group Lasso", 2013, Equation 3.

    Attributes:
        l1_ratio: rho, in (0, 1).
        q: greater than 1.
    """

    l1_ratio: float = 0.5
    q: float = 2.0

    def value(self, w: Tensor) -> float:
        """Return the norm."""
        rows = RowNorm(self.q).value(w)
        return self.l1_ratio * float(w.abs().sum()) + (1 - self.l1_ratio) * rows

    def dual_norm(self, w: Tensor) -> float:
        r"""Return the largest m over rows z with :math:`\|S(z, \rho m)\|_{q'} = (1 - \rho) m`.

        S is the soft threshold. The left side falls in m and the right one grows, so that m is
        bracketed by 0 and max |z| / rho, and halved down to the last bit.
        """
        conjugate = 1.0 if self.q == math.inf else self.q / (self.q - 1)
        z = w.abs()
        low, high = torch.zeros_like(z[:, 0]), z.amax(dim=1) / self.l1_ratio
        for _ in range(64):
            middle = (low + high) / 2
            left = (z - self.l1_ratio * middle[:, None]).clamp(min=0)
            above = torch.linalg.vector_norm(left, conjugate, dim=1) > (1 - self.l1_ratio) * middle
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        return float(high.max())

    def prox(self, w: Tensor, strength: float) -> Tensor:
        """Return the entries and then the rows, shrunk."""
        entries, rows = strength * self.l1_ratio, strength * (1 - self.l1_ratio)
        return prox_sparse_group_lasso(w, entries, rows, dim=1, q=self.q)


@dataclass(frozen=True)
class TraceNorm(Norm):
    r"""The sum of the singular values of W: tasks lie in a space of few dimensions.

    Source: Argyriou, Evgeniou & Pontil, "Convex Multi-Task Feature Learning", Machine Learning
        2008,
    and Pong, Tseng, Ji & Ye, "Trace Norm Regularization", SIAM Journal on Optimization 2010.
    """

    def value(self, w: Tensor) -> float:
        """Return the norm."""
        return float(torch.linalg.svdvals(w).sum())

    def dual_norm(self, w: Tensor) -> float:
        """Return the largest singular value."""
        return float(torch.linalg.matrix_norm(w, 2))

    def prox(self, w: Tensor, strength: float) -> Tensor:
        """Return W with its singular values shrunk."""
        return prox_nuclear(w, strength)


@dataclass(frozen=True)
class SpectralBox:
    r"""Clusters of tasks, relaxed: the squared spectral box norm of W.

    .. math::

        \eta (1 + \eta) \min_M \mathrm{tr}\, W (\eta I + M)^{-1} W^\top
        \quad\text{with}\quad 0 \preceq M \preceq I,\ \mathrm{tr}\, M = k

    which is :math:`\eta (1 + \eta) \min_\theta \sum_i \sigma_i^2 / \theta_i` over
    :math:`\eta \le \theta_i \le 1 + \eta` with :math:`\sum_i (\theta_i - \eta) \le k`, sigma being
    the singular values of W.

    Source: Zhou, Chen & Ye, "Clustered Multi-Task Learning via Alternating Structure Optimization",
    NeurIPS 2011, Equation 11, with rho_1 the strength and eta = rho_2 / rho_1; the same penalty in
    Jacob, Bach & Vert, "Clustered Multi-Task Learning: A Convex Formulation", NeurIPS 2008. As a
    norm: McDonald, Pontil & Stamos, "New Perspectives on k-Support and Cluster Norms", JMLR 2016.

    Attributes:
        clusters: k, at least 1 and at most the number of tasks.
        eta: greater than 0; the smaller, the more what is common to a cluster is spared.
    """

    clusters: int = 1
    eta: float = 0.1

    def value(self, w: Tensor) -> float:
        """Return the penalty."""
        singular = torch.linalg.svdvals(w)
        return self._factor * float((singular.square() / self.weights(singular)).sum())

    def prox(self, w: Tensor, strength: float) -> Tensor:
        """Return W, each singular value times theta / (theta + 2 eta (1 + eta) s)."""
        u, singular, v = torch.linalg.svd(w, full_matrices=False)
        shift = 2 * self._factor * strength
        theta = self.weights(singular, shift)
        return (u * (singular * theta / (theta + shift))) @ v

    def weights(self, singular: Tensor, shift: float = 0.0) -> Tensor:
        """Return theta: argmin of sum sigma^2 / (theta + shift) over the box, exactly.

        theta = clip(s sigma - shift, eta, 1 + eta), where s is such that as much is spent as there
        is.

        Args:
            singular: (R,), not negative, in falling order.
            shift: not negative.
        """
        low, high = self.eta, 1 + self.eta
        if float(singular[0]) == 0:
            return torch.full_like(singular, low)
        positive = singular[singular > 0]
        if len(positive) <= self.clusters:
            return torch.full_like(singular, low).masked_fill(singular > 0, high)
        # What is spent grows in s, in straight lines between the s where an entry meets a bound.
        ends = torch.cat([(low + shift) / positive, (high + shift) / positive]).sort().values
        spent = ((ends[:, None] * positive - shift).clamp(low, high) - low).sum(dim=1)
        after = int(torch.searchsorted(spent, float(self.clusters)).clamp(1, len(ends) - 1))
        (s0, s1), (h0, h1) = ends[after - 1 : after + 1], spent[after - 1 : after + 1]
        scale = s0 + (s1 - s0) * (self.clusters - h0) / (h1 - h0)
        return (scale * singular - shift).clamp(low, high)

    def strongest(self, problem: LeastSquares) -> float:
        """Return the strength at which all directions are as stiff as the loss at its stiffest."""
        return problem.curvature / (2 * self.eta)

    def dual(self, loss: float, inner: float, correlations: Tensor, strength: float) -> float:
        r"""Return the dual objective at the best multiple of the residuals (see ``Penalty``).

        The conjugate is :math:`\sum_i \theta_i \tau_i^2 / (4 \eta (1 + \eta) s)` with the largest
        theta for the largest singular values tau of X'r.
        """
        squares = torch.linalg.svdvals(correlations).square()
        most = float(squares.sum() * self.eta + squares[: self.clusters].sum())
        conjugate = most / (4 * self._factor * strength)
        quadratic = loss + conjugate
        return inner**2 / (4 * quadratic) if quadratic > 0 else 0.0

    @property
    def _factor(self) -> float:
        return self.eta * (1 + self.eta)
