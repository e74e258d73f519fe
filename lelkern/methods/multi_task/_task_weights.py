"""What each task's loss counts."""

from typing import Literal

import torch
from torch import Tensor, nn

Weighting = Literal["equal", "uncertainty"]


class TaskWeights(nn.Module):
    r"""The sum of the losses of T tasks, equally weighted or by their uncertainty.

    .. math:: \sum_t e^{-s_t} L_t + s_t / 2

    with a learned :math:`s_t = \log \sigma_t^2`, 0 at first, for cross-entropies :math:`L_t` whose
    logits are divided by :math:`\sigma_t^2`. For losses that stay as they are the optimum is
    :math:`e^{-s_t} = 1 / (2 L_t)`: the better a task is known, the more it counts. Source: Kendall,
    Gal & Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
    Semantics", CVPR 2018, equation 10 and what follows it.

    Args:
        weighting: ``equal``, the plain sum, or ``uncertainty``.
        tasks: T.

    Attributes:
        s: the logarithms of the variances, (T,).
    """

    def __init__(self, weighting: Weighting, tasks: int) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.zeros(tasks), requires_grad=weighting == "uncertainty")

    def forward(self, losses: Tensor) -> Tensor:
        """Map losses (T,) to their weighted sum."""
        return ((-self.s).exp() * losses + self.s / 2).sum()

    def curve(self) -> list[tuple[float, float]]:
        """Return the number of each task, from 1, and its weight."""
        weights: list[float] = (-self.s).exp().tolist()
        return [(float(task), weight) for task, weight in enumerate(weights, start=1)]
