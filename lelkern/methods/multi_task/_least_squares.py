"""The loss of linear tasks: sums of squares, with samples that all share or of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import torch
from torch import Tensor

Loss = Literal["sum", "mean"]
"""``sum``: 1/2 ||X w - y||^2 of every task. ``mean``: the same over the number of its samples."""


@dataclass(frozen=True)
class LeastSquares:
    r"""The loss of T linear tasks on D features, whose coefficients are the columns of W.

    .. math:: L(W) = \tfrac12 \sum_t c_t \|X_t w_t - y_t\|^2

    with c_t = 1 (``sum``) or 1 / N_t (``mean``). Where intercepts are fitted, X_t and y_t are
    centred, so that the intercepts are those that are best for W and no penalty touches them.

    Attributes:
        x: (T, N, D) float64, or (1, N, D) where all tasks have the same samples; centred,
            multiplied by the root of c_t, and filled up with rows of zeros where a task has fewer
            samples.
        y: (T, N), likewise.
        x_mean: (T, D) or (1, D), what was subtracted.
        y_mean: (T,), likewise.
    """

    x: Tensor
    y: Tensor
    x_mean: Tensor
    y_mean: Tensor

    @classmethod
    def of(
        cls,
        x: Tensor | Sequence[Tensor],
        y: Sequence[Tensor],
        *,
        intercept: bool = True,
        loss: Loss = "sum",
    ) -> Self:
        """Return the loss of tasks.

        Args:
            x: (N, D) float64 that all tasks share, or T matrices (N_t, D).
            y: T vectors (N_t,) float64.
            intercept: whether every task has an intercept.
            loss: how the tasks' samples count.

        Raises:
            ValueError: there are no tasks, their numbers of samples or features don't fit together,
                or there are none.
        """
        shared = isinstance(x, Tensor)
        inputs = [x] if isinstance(x, Tensor) else list(x)
        if not y or len(inputs) != (1 if shared else len(y)):
            raise ValueError(f"y must have a vector for each task, got {len(y)} for {len(inputs)}")
        features = inputs[0].shape[-1]
        for number, own in enumerate(y):
            samples = inputs[0 if shared else number]
            if samples.ndim != 2 or samples.shape[1] != features or samples.numel() == 0:
                raise ValueError(
                    f"x of task {number} must be (N, {features}), got {tuple(samples.shape)}"
                )
            if own.shape != (len(samples),):
                raise ValueError(
                    f"y of task {number} must be ({len(samples)},), got {tuple(own.shape)}"
                )
        x_mean = torch.stack([part.mean(0) for part in inputs])
        y_mean = torch.stack([part.mean() for part in y])
        if not intercept:
            x_mean, y_mean = torch.zeros_like(x_mean), torch.zeros_like(y_mean)
        rows = max(map(len, inputs))
        padded_x = x_mean.new_zeros(len(inputs), rows, features)
        padded_y = y_mean.new_zeros(len(y), rows)
        for number, part in enumerate(inputs):
            weight = len(part) ** -0.5 if loss == "mean" else 1.0
            padded_x[number, : len(part)] = (part - x_mean[number]) * weight
        for number, own in enumerate(y):
            weight = len(own) ** -0.5 if loss == "mean" else 1.0
            padded_y[number, : len(own)] = (own - y_mean[number]) * weight
        return cls(padded_x, padded_y, x_mean, y_mean)

    @property
    def features(self) -> int:
        """D."""
        return self.x.shape[2]

    @property
    def tasks(self) -> int:
        """T."""
        return len(self.y)

    @cached_property
    def gram(self) -> Tensor:
        """X'X of every task, (T, D, D), or (1, D, D) where all tasks have the same samples."""
        return self.x.mT @ self.x

    @cached_property
    def moments(self) -> Tensor:
        """X'y of every task, (D, T)."""
        if len(self.x) == 1:
            return self.x[0].T @ self.y.T
        return (self.x.mT @ self.y[:, :, None])[:, :, 0].T.contiguous()

    @cached_property
    def at_zero(self) -> float:
        """The loss of coefficients that are all zero."""
        return 0.5 * float(self.y.square().sum())

    @cached_property
    def curvature(self) -> float:
        """The largest eigenvalue of any X'X: the Lipschitz constant of the gradient."""
        # Of X X', where there are fewer samples than features: its eigenvalues are the same.
        _, samples, features = self.x.shape
        square = self.gram if features <= samples else self.x @ self.x.mT
        return float(torch.linalg.eigvalsh(square)[:, -1].max())

    def gradient(self, w: Tensor) -> Tensor:
        """Return X'(X w - y) of every task, (D, T), for coefficients (D, T)."""
        _, samples, features = self.x.shape
        shared = len(self.x) == 1
        columns = w[None] if shared else w.T[:, :, None]
        squares = self.gram @ columns if features <= samples else self.x.mT @ (self.x @ columns)
        return (squares[0] if shared else squares[:, :, 0].T) - self.moments

    def value(self, w: Tensor, gradient: Tensor) -> Tensor:
        """Return L(W), a number, for coefficients (D, T) and its gradient there."""
        # 1/2 w'X'X w - w'X'y + 1/2 y'y, where X'X w is the gradient plus X'y.
        return 0.5 * (w * (gradient - self.moments)).sum() + self.at_zero

    def intercepts(self, w: Tensor) -> Tensor:
        """Return the intercepts, (T,), that are best for coefficients (D, T)."""
        return self.y_mean - (self.x_mean.T * w).sum(0)
