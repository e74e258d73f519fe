"""The augmentations of SimCLR (Chen et al. 2020, Section 3 and Appendix A), and CutOut.

Each class is the configuration of one augmentation; ``build`` makes the module that maps images
(B, 3, H, W), float in [0, 1], to images of the same shape. Every image draws its own parameters,
uniformly where nothing else is said, from torch's global generator, which is kornia's only source:
most of them are kornia's.
"""

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from lelkern.config import Config


def _check_order(name: str, low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"min_{name} must be at most max_{name}, {high}, got {low}")


class Crop(Config):
    """Random resized crop: a random part of the image, enlarged to the whole size.

    As torchvision does it: the area is uniform, the aspect ratio uniform in its logarithm, both
    sides are rounded to pixels, and the first of ten draws that fits into the image is taken (the
    whole image, or the largest part of it that the ratios allow, if none does), at a uniform
    position. Enlarging is bilinear, with the outermost pixels of both on top of each other.

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
        _check_order("scale", self.min_scale, self.max_scale)
        _check_order("aspect", self.min_aspect, self.max_aspect)
        return self

    def build(self, size: int) -> nn.Module:
        """Make the module for square images of ``size`` pixels."""
        from kornia.augmentation import RandomResizedCrop

        return RandomResizedCrop(
            (size, size),
            scale=(self.min_scale, self.max_scale),
            ratio=(self.min_aspect, self.max_aspect),
        )


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
        from kornia.augmentation import RandomHorizontalFlip

        return RandomHorizontalFlip(p=self.p)


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
        from kornia.augmentation import ColorJitter, RandomGrayscale

        ranges = (self.brightness, self.contrast, self.saturation)
        hue = min(0.5, self.strength * self.hue)
        jitter = ColorJitter(*(self.strength * r for r in ranges), hue, p=self.p)
        return nn.Sequential(jitter, RandomGrayscale(p=self.grey_p))


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
        _check_order("sigma", self.min_sigma, self.max_sigma)
        return self

    def build(self, size: int) -> nn.Module:
        """Make the module; its kernel is the odd number next to a tenth of ``size`` pixels."""
        from kornia.augmentation import RandomGaussianBlur

        kernel = max(3, size // 10 // 2 * 2 + 1)
        return RandomGaussianBlur(
            (kernel, kernel), sigma=(self.min_sigma, self.max_sigma), p=self.p
        )


class Rotation(Config):
    """Rotation by 0, 90, 180 or 270 degrees, each as likely.

    Attributes:
        name: ``rotation``.
    """

    name: Literal["rotation"] = "rotation"

    def build(self, size: int) -> nn.Module:
        """Make the module."""
        return _RightAngles()


class _RightAngles(nn.Module):
    """Exact turns of square images; kornia's are interpolated, and not equally likely."""

    def forward(self, images: Tensor) -> Tensor:
        # Drawn on the CPU, like kornia's, so that a seed gives the same turns on every device.
        turns = torch.randint(4, (len(images), 1, 1, 1)).to(images.device)
        turned = images
        for k in (1, 2, 3):
            turned = torch.where(turns == k, torch.rot90(images, k, (2, 3)), turned)
        return turned


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
        return _GreySquare(self.length)


class _GreySquare(nn.Module):
    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def forward(self, images: Tensor) -> Tensor:
        rows = self._covered(images.shape[2], images)[:, None, :, None]
        columns = self._covered(images.shape[3], images)[:, None, None, :]
        return images.masked_fill(rows & columns, 0.5)

    def _covered(self, size: int, images: Tensor) -> Tensor:
        """Draw which rows, or columns, of each image the square covers: (B, size) bool."""
        # Drawn on the CPU, like kornia's, so that a seed gives the same squares on every device.
        first = torch.randint(size, (len(images), 1)) - self.length // 2
        place = torch.arange(size)
        return ((place >= first) & (place < first + self.length)).to(images.device)
