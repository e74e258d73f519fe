"""CutOut."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lelkern.config import Config


class CutOut(Config):
    """CutOut: a square of every image becomes grey (DeVries & Taylor 2017, Section 3.2).

    The centre of the square is uniform over all pixels, so that it may stick out of the image, as
    the authors found important: otherwise every image would lose the same area. Grey is 0.5, which
    encoders see as 0; the authors' images have a mean of 0.

    Attributes:
        name: ``cutout``.
        length: side of the square in pixels; the authors take half of the image's for CIFAR-10.
    """

    name: Literal["cutout"] = "cutout"
    length: int = Field(default=8, ge=1)

    def build(self, size: int) -> nn.Module:
        """Make the module."""
        return _CutOut(self.length)


class _CutOut(nn.Module):
    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def forward(self, images: Tensor) -> Tensor:
        rows = self._covered(images.shape[2], images)[:, None, :, None]
        columns = self._covered(images.shape[3], images)[:, None, None, :]
        return images.masked_fill(rows & columns, 0.5)

    def _covered(self, size: int, images: Tensor) -> Tensor:
        """Draw which rows, or columns, of each image the square covers: (B, size) bool."""
        # Drawn on the CPU, so that a seed gives the same squares on every device.
        first = torch.randint(size, (len(images), 1)) - self.length // 2
        place = torch.arange(size)
        return ((place >= first) & (place < first + self.length)).to(images.device)
