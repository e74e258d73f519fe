"""Horizontal mirror image."""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from lelkern.augment.chosen import change_some
from lelkern.config import Config


class Flip(Config):
    """Horizontal mirror image.

    Attributes:
        name: ``flip``.
        p: probability of mirroring.
    """

    name: Literal["flip"] = "flip"
    p: float = Field(default=0.5, ge=0, le=1)

    def build(self, size: int) -> nn.Module:
        """Make the module."""
        return _Flip(self.p)


class _Flip(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, images: Tensor) -> Tensor:
        return change_some(images, self.p, lambda some: some.flip(3))
