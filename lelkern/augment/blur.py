"""Gaussian blur."""

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from lelkern.augment.chosen import change_some
from lelkern.augment.ranges import check_order
from lelkern.augment.separable import separable
from lelkern.config import Config


class Blur(Config):
    """Gaussian blur with a random width, over a kernel of about a tenth of the image.

    The kernel cuts the Gaussian off and is divided by its sum, so that small images are blurred
    less than sigma says: with the 3 pixels of a 32-pixel image and sigma 2, by 0.8 pixels. At the
    border the image is mirrored.

    Attributes:
        name: ``blur``.
        min_sigma: smallest standard deviation of the whole Gaussian, in pixels.
        max_sigma: largest standard deviation, in pixels.
        p: probability of blurring.
    """

    name: Literal["blur"] = "blur"
    min_sigma: float = Field(default=0.1, gt=0)
    max_sigma: float = Field(default=2.0, gt=0)
    p: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Self:
        check_order("sigma", self.min_sigma, self.max_sigma)
        return self

    def build(self, size: int) -> nn.Module:
        """Make the module; its kernel is the odd number next to a tenth of ``size`` pixels."""
        return _Blur(self, reach=max(1, size // 20))


class _Blur(nn.Module):
    def __init__(self, config: Blur, reach: int) -> None:
        super().__init__()
        self.config = config
        self.reach = reach  # pixels to either side

    def forward(self, images: Tensor) -> Tensor:
        return change_some(images, self.config.p, self._blur)

    def _blur(self, images: Tensor) -> Tensor:
        sigma = torch.empty(len(images)).uniform_(self.config.min_sigma, self.config.max_sigma)
        rows, columns = (self._weights(sigma, size).to(images) for size in images.shape[2:])
        return separable(images, rows, columns)

    def _weights(self, sigma: Tensor, size: int) -> Tensor:
        """Return the weights of a line of pixels, the last dimension, in every result (B, S, S)."""
        offset = torch.arange(-self.reach, self.reach + 1)
        kernel = (-0.5 * (offset / sigma[:, None]).square()).exp()
        kernel /= kernel.sum(dim=1, keepdim=True)  # (B, 2 reach + 1)
        source = torch.arange(size)[:, None] + offset  # (S, 2 reach + 1)
        period = max(1, 2 * (size - 1))
        source = source.remainder(period)
        source = torch.minimum(source, period - source).expand(len(sigma), -1, -1)
        weights = torch.zeros(len(sigma), size, size)
        return weights.scatter_add_(2, source, kernel[:, None].expand(source.shape))
