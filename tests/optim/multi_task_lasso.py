"""A convex problem with a known answer, and how far from optimal a point is, for optimisers.

min_W 1/2 ||X W - Y||^2 + lam sum_i ||w_i||_2, for 12 features (rows) and 3 tasks (columns).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

LAM = 3.0
"""With it 4 of the 12 rows of the solution are not zero: both cases of optimality occur."""


@dataclass(frozen=True)
class MultiTaskLasso:
    """The problem, in float64."""

    x: Tensor
    y: Tensor

    def loss(self, w: Tensor) -> Tensor:
        """Return the smooth part."""
        return 0.5 * (self.x @ w - self.y).square().sum()

    def gradient(self, w: Tensor) -> Tensor:
        """Return the gradient of the smooth part."""
        return self.x.T @ (self.x @ w - self.y)

    @property
    def lipschitz(self) -> float:
        """Lipschitz constant of that gradient."""
        return float(torch.linalg.matrix_norm(self.x, 2) ** 2)

    def objective(self, w: Tensor, lam: float = LAM) -> float:
        """Return what is minimised."""
        return float(self.loss(w) + lam * w.norm(dim=1).sum())

    def gap(self, w: Tensor, lam: float = LAM) -> float:
        """Return the duality gap: of the scaled residual, which is dual feasible."""
        residual = self.y - self.x @ w
        scale = min(1.0, lam / float((self.x.T @ residual).norm(dim=1).max()))
        dual = 0.5 * (self.y.square().sum() - (self.y - scale * residual).square().sum())
        return self.objective(w, lam) - float(dual)


def problem() -> MultiTaskLasso:
    """Return the problem, always the same."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 12, generator=generator, dtype=torch.float64)
    w = torch.zeros(12, 3, dtype=torch.float64)
    w[:4] = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    y = x @ w + 0.5 * torch.randn(40, 3, generator=generator, dtype=torch.float64)
    return MultiTaskLasso(x / 40**0.5 * 3, y)


def kkt_residual(w: Tensor, gradient: Tensor, lam: float = LAM) -> float:
    """Return the distance of 0 from gradient + lam times the subdifferential of sum_i ||w_i||.

    A row that is zero may add any vector of length up to lam, another one lam w_i / ||w_i||.
    """
    norms = w.norm(dim=1)
    alive = (gradient + lam * w / norms.where(norms > 0, 1).unsqueeze(1)).norm(dim=1)
    dead = (gradient.norm(dim=1) - lam).clamp(min=0)
    return float(torch.where(norms > 0, alive, dead).norm())
