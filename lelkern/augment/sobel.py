"""Sobel filtering."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lelkern.augment.chosen import change_some
from lelkern.augment.color import grey
from lelkern.config import Config


class Sobel(Config):
    """Sobel filtering: edges in place of the image (SimCLR, Figure 4).

    The length of the gradient of the grey image, as all three channels. A step of height 1 along
    rows or columns gives 1; at the border the image goes on as it ends.

    Attributes:
        name: ``sobel``.
        p: probability of filtering.
    """

    name: Literal["sobel"] = "sobel"
    p: float = Field(default=0.5, ge=0, le=1)

    def build(self, size: int) -> nn.Module:
        """Make the module."""
        return _Sobel(self.p)


class _Sobel(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, images: Tensor) -> Tensor:
        return change_some(images, self.p, edges)


def edges(images: Tensor) -> Tensor:
    """Return the edges of images (B, 3, H, W), float in [0, 1]: the same shape, in [0, 1]."""
    x = F.pad(grey(images), (1, 1, 1, 1), mode="replicate")
    across = x[..., 2:] - x[..., :-2]  # (B, 1, H + 2, W)
    down = x[..., 2:, :] - x[..., :-2, :]  # (B, 1, H, W + 2)
    gx = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    gy = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return (gx.square() + gy.square()).sqrt().div_(4).clamp_(max=1).expand_as(images)
