"""Modules over the ops."""

import math

import torch
from torch import Tensor, nn

from lelkern.ops.nt_xent import Reduction, nt_xent


class NTXentLoss(nn.Module):
    """The contrastive loss of SimCLR; see :func:`lelkern.nt_xent`.

    Args:
        temperature: a positive number; with ``learnable`` where it starts.
        reduction: ``"mean"`` or ``"sum"`` over the 2N rows, or ``"none"``.
        learnable: make the temperature a parameter. It is kept as ``log_temperature``, so that no
            step of an optimizer can make it negative.

    Shape:
        ``z1`` and ``z2`` (N, D); the loss a scalar, or (2N,) for ``"none"``.

    Raises:
        ValueError: the temperature is not a positive number.
    """

    def __init__(
        self, temperature: float = 0.5, *, reduction: Reduction = "mean", learnable: bool = False
    ) -> None:
        super().__init__()
        if not (temperature > 0 and math.isfinite(temperature)):
            raise ValueError(f"temperature must be > 0 and finite, got {temperature}")
        self.reduction: Reduction = reduction
        self.learnable = learnable
        if learnable:
            self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        else:
            self._temperature = float(temperature)

    @property
    def temperature(self) -> float | Tensor:
        """The temperature in use: a number, or if learnable a tensor with a gradient."""
        return self.log_temperature.exp() if self.learnable else self._temperature

    def forward(self, z1: Tensor, z2: Tensor) -> Tensor:
        """Return the loss of the pairs ``z1[i], z2[i]``."""
        return nt_xent(z1, z2, self.temperature, reduction=self.reduction)

    def extra_repr(self) -> str:
        """Describe the options."""
        temperature, learnable = self.temperature, ""
        if isinstance(temperature, Tensor):
            temperature, learnable = temperature.item(), ", learnable=True"
        return f"temperature={temperature:.4g}, reduction={self.reduction!r}{learnable}"
