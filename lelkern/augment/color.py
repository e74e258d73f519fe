"""Colour distortion: jitter and grey scale."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lelkern.augment.chosen import change_some
from lelkern.config import Config


class Color(Config):
    """Colour distortion: jitter of brightness, contrast, saturation and hue, then grey scale.

    A factor f from 1 - range to 1 + range multiplies the image (brightness), its difference from
    its mean grey (contrast), or from its own grey (saturation); the hue is turned by a share of the
    circle from -range to range. Grey is 0.299 R + 0.587 G + 0.114 B. Values are cut off at 0 and 1
    after each of the four, which come in an order that is drawn for a batch, not for an image.

    Attributes:
        name: ``color``.
        strength: SimCLR's s, which multiplies the four ranges.
        brightness: largest relative change of brightness, at strength 1.
        contrast: largest relative change of contrast, at strength 1.
        saturation: largest relative change of saturation, at strength 1.
        hue: largest turn of the colour circle, as a share of it; half of it reaches every hue.
        p: probability of the jitter.
        grey_p: probability of dropping the colour altogether.
    """

    name: Literal["color"] = "color"
    strength: float = Field(default=1.0, ge=0, le=1.25)
    brightness: float = Field(default=0.8, ge=0, le=0.8)
    contrast: float = Field(default=0.8, ge=0, le=0.8)
    saturation: float = Field(default=0.8, ge=0, le=0.8)
    hue: float = Field(default=0.2, ge=0, le=0.5)
    p: float = Field(default=0.8, ge=0, le=1)
    grey_p: float = Field(default=0.2, ge=0, le=1)

    def build(self, size: int) -> nn.Module:
        """Make the module."""
        return _Distortion(self)


class _Distortion(nn.Module):
    def __init__(self, config: Color) -> None:
        super().__init__()
        self.config = config
        self.hue = min(0.5, config.strength * config.hue)

    def forward(self, images: Tensor) -> Tensor:
        images = change_some(images, self.config.p, self._jitter)
        return change_some(images, self.config.grey_p, lambda some: grey(some).expand_as(some))

    def _jitter(self, x: Tensor) -> Tensor:
        for kind in torch.randperm(4).tolist():
            if kind == 0 and self.config.brightness:
                x = (x * self._factors(x, self.config.brightness)).clamp_(0, 1)
            elif kind == 1 and self.config.contrast:
                mean = grey(x).mean(dim=(2, 3), keepdim=True)
                x = torch.lerp(mean, x, self._factors(x, self.config.contrast)).clamp_(0, 1)
            elif kind == 2 and self.config.saturation:
                x = torch.lerp(grey(x), x, self._factors(x, self.config.saturation)).clamp_(0, 1)
            elif kind == 3 and self.hue:
                x = turn_hue(x, _uniform(x, -self.hue, self.hue))
        return x

    def _factors(self, x: Tensor, range_: float) -> Tensor:
        """Draw a factor for every image, (B, 1, 1, 1)."""
        return _uniform(x, 1 - self.config.strength * range_, 1 + self.config.strength * range_)


def _uniform(x: Tensor, low: float, high: float) -> Tensor:
    """Draw a number for every image, (B, 1, 1, 1), on the CPU, the same for every device."""
    return torch.empty(len(x), 1, 1, 1).uniform_(low, high).to(x)


def grey(images: Tensor) -> Tensor:
    """Return 0.299 R + 0.587 G + 0.114 B of images (B, 3, H, W), as (B, 1, H, W)."""
    red, green, blue = images.split(1, dim=1)
    return (0.299 * red).add_(green, alpha=0.587).add_(blue, alpha=0.114)


def turn_hue(images: Tensor, turn: Tensor) -> Tensor:
    r"""Return images with their hues turned, and value and chroma as they were.

    With the largest of a pixel's channels M, the smallest m and the hue h in sixths of the circle,
    counted from red (the hexagon of HSV; Smith 1978), it becomes

    .. math:: m + (M - m) \, \mathrm{clip}_{[0, 1]} \bigl(
              |h - 3| - 1, \; 2 - |h - 2|, \; 2 - |h - 4| \bigr)

    Args:
        images: (B, 3, H, W), float in [0, 1].
        turn: shares of the circle, (B, 1, 1, 1).
    """
    red, green, blue = images.split(1, dim=1)  # (B, 1, H, W) each
    high, low = images.amax(dim=1, keepdim=True), images.amin(dim=1, keepdim=True)
    chroma = high - low
    hue = torch.where(
        red == high, green - blue, torch.where(green == high, blue - red, red - green)
    )
    # A grey pixel has no hue, and no chroma that would show it.
    hue.div_(chroma.clamp(min=torch.finfo(images.dtype).tiny))
    hue += torch.where(red == high, 0, torch.where(green == high, 2, 4))
    hue.add_(6 * turn)
    hue -= 6 * (hue / 6).floor_()  # faster than the remainder, in [0, 6]
    channels = torch.cat(
        [(hue - 3).abs_().sub_(1), 2 - (hue - 2).abs_(), 2 - (hue - 4).abs_()], dim=1
    )
    return channels.clamp_(0, 1).mul_(chroma).add_(low)
