"""Random resized crop."""

import math
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from lelkern.augment.ranges import check_order
from lelkern.augment.separable import separable
from lelkern.config import Config

_DRAWS = 10
"""Of a size, until one fits, as in torchvision."""


class Crop(Config):
    """Random resized crop: a random part of the image, enlarged to the whole size.

    As torchvision does it: the area is uniform, the aspect ratio uniform in its logarithm, both
    sides are rounded to pixels, and the first of ten draws that fits into the image is taken (the
    whole image, or the largest part of it that the ratios allow, if none does), at a uniform
    position; torchvision puts that largest part into the middle. Enlarging is bilinear, with the
    outermost pixels of both on top of each other.

    Attributes:
        name: ``crop``.
        min_scale: smallest share of the image's area.
        max_scale: largest share of the image's area.
        min_aspect: smallest ratio of width to height, before enlarging.
        max_aspect: largest ratio of width to height.
    """

    name: Literal["crop"] = "crop"
    min_scale: float = Field(default=0.2, gt=0, le=1)
    max_scale: float = Field(default=1.0, gt=0, le=1)
    min_aspect: float = Field(default=3 / 4, gt=0)
    max_aspect: float = Field(default=4 / 3, gt=0)

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> Self:
        check_order("scale", self.min_scale, self.max_scale)
        check_order("aspect", self.min_aspect, self.max_aspect)
        return self

    def build(self, size: int) -> nn.Module:
        """Make the module for square images of ``size`` pixels."""
        return _Crop(self)


class _Crop(nn.Module):
    def __init__(self, config: Crop) -> None:
        super().__init__()
        self.config = config

    def forward(self, images: Tensor) -> Tensor:
        number, (height, width) = len(images), images.shape[2:]
        heights, widths = self._sides(number, height, width)
        tops, lefts = (
            (torch.rand(number) * (all_ - part + 1)).floor()
            for all_, part in ((height, heights), (width, widths))
        )
        # Drawn on the CPU, so that a seed gives the same parts on every device.
        tops, heights, lefts, widths = (x.to(images.device) for x in (tops, heights, lefts, widths))
        rows, columns = _bilinear(tops, heights, height), _bilinear(lefts, widths, width)
        return separable(images, rows.to(images.dtype), columns.to(images.dtype))

    def _sides(self, number: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Draw the height and the width of the part of every image, (B,) each, whole numbers."""
        scale, config = height * width, self.config
        area = scale * torch.empty(number, _DRAWS).uniform_(config.min_scale, config.max_scale)
        log_aspects = math.log(config.min_aspect), math.log(config.max_aspect)
        aspect = torch.empty(number, _DRAWS).uniform_(*log_aspects).exp()
        widths, heights = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
        fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
        first = fits.int().argmax(dim=1, keepdim=True)  # 0 if none fits
        none = ~fits.any(dim=1)
        largest = _largest(height, width, config)
        sides = (heights.gather(1, first)[:, 0], widths.gather(1, first)[:, 0])
        tall, wide = (
            side.masked_fill(none, all_) for side, all_ in zip(sides, largest, strict=True)
        )
        return tall, wide


def _largest(height: int, width: int, config: Crop) -> tuple[int, int]:
    """Return height and width of the largest part that the ratios allow."""
    ratio = width / height
    if ratio < config.min_aspect:
        return max(1, round(width / config.min_aspect)), width
    if ratio > config.max_aspect:
        return height, max(1, round(height * config.max_aspect))
    return height, width


def _bilinear(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Return the weights that stretch part of a line of pixels over the whole of it.

    Args:
        start: of the part of every image, (B,).
        length: its pixels, (B,).
        size: of the line.

    Returns:
        (B, size, size): weights of the pixels, the last dimension, in every result.
    """
    place = torch.linspace(0, 1, size, device=start.device)  # 0 for a line of one pixel
    there = start[:, None] + place * (length[:, None] - 1)  # (B, size)
    pixels = torch.arange(size, device=start.device)
    return (1 - (there[:, :, None] - pixels).abs()).clamp_(min=0)
