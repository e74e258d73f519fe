"""Rotation by right angles."""

from typing import Literal

import torch
from torch import Tensor, nn

from lelkern.config import Config


class Rotation(Config):
    """Rotation by 0, 90, 180 or 270 degrees, each as likely.

    Attributes:
        name: ``rotation``.
    """

    name: Literal["rotation"] = "rotation"

    def build(self, size: int) -> nn.Module:
        """Make the module."""
        return _Rotation()


class _Rotation(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        # Drawn on the CPU, so that a seed gives the same turns on every device.
        turns = torch.randint(4, (len(images), 1, 1, 1)).to(images.device)
        turned = images
        for k in (1, 2, 3):
            turned = torch.where(turns == k, torch.rot90(images, k, (2, 3)), turned)
        return turned
