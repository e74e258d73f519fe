"""Gaussian noise."""

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from lelkern.augment.ranges import check_order
from lelkern.config import Config


class Noise(Config):
    """Gaussian noise of a random strength, of its own for every pixel and channel.

    Values are cut off at 0 and 1 afterwards. The noise is drawn on the device of the images, so
    that a seed gives other noise on another device.

    Attributes:
        name: ``noise``.
        min_sigma: smallest standard deviation; images go from 0 to 1.
        max_sigma: largest standard deviation.
    """

    name: Literal["noise"] = "noise"
    min_sigma: float = Field(default=0.0, ge=0)
    max_sigma: float = Field(default=0.2, ge=0)

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Self:
        check_order("sigma", self.min_sigma, self.max_sigma)
        return self

    def build(self, size: int) -> nn.Module:
        """Make the module."""
        return _Noise(self)


class _Noise(nn.Module):
    def __init__(self, config: Noise) -> None:
        super().__init__()
        self.config = config

    def forward(self, images: Tensor) -> Tensor:
        sigma = torch.empty(len(images), 1, 1, 1)
        sigma.uniform_(self.config.min_sigma, self.config.max_sigma)
        return torch.addcmul(images, sigma.to(images), torch.randn_like(images)).clamp_(0, 1)
