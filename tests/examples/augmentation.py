"""Solarisation: the negative of what is bright (Grill et al. 2020, Appendix B)."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lelkern.config import Config


class Solarize(Config):
    """Inversion of all values above a random threshold, with probability ``p``.

    Attributes:
        name: ``solarize``.
        min_threshold: lowest threshold; 0 may invert the whole image.
        p: probability of the inversion.
    """

    name: Literal["solarize"] = "solarize"
    min_threshold: float = Field(default=0.25, ge=0, le=1)
    p: float = Field(default=0.5, ge=0, le=1)

    def build(self, size: int) -> nn.Module:
        """Make the module for square images of ``size`` pixels."""
        return _Solarize(self)


class _Solarize(nn.Module):
    def __init__(self, config: Solarize) -> None:
        super().__init__()
        self.config = config

    def forward(self, images: Tensor) -> Tensor:
        """Change images (B, 3, H, W), float in [0, 1], each by a draw of its own."""
        # Drawn on the CPU, so that a seed gives the same images on every device.
        threshold = torch.empty(len(images), 1, 1, 1).uniform_(self.config.min_threshold, 1)
        threshold[torch.rand(len(images)) >= self.config.p] = 1  # which leaves the image alone
        return torch.where(images > threshold.to(images.device), 1 - images, images)
