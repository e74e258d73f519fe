"""Transformations of images that a linear probe may find in a representation, or not."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from lelkern.augment.color import grey
from lelkern.augment.sobel import edges

NOISE = 0.2
"""Standard deviation of the noise that corrupts images, whose values are from 0 to 1."""


def original(images: Tensor) -> Tensor:
    """Return images as they are."""
    return images


def in_grey(images: Tensor) -> Tensor:
    """Return the grey of images (B, 3, H, W) in all three channels."""
    return grey(images).expand_as(images)


def corrupted(images: Tensor) -> Tensor:
    """Return images with Gaussian noise of standard deviation :data:`NOISE`, from 0 to 1."""
    # Drawn on the CPU, so that a seed gives the same noise on every device.
    return (images + NOISE * torch.randn(images.shape).to(images.device)).clamp(0, 1)


TRANSFORMATIONS: Mapping[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "rotation": tuple(partial(torch.rot90, k=k, dims=(2, 3)) for k in range(4)),
    "grey": (original, in_grey),
    "noise": (original, corrupted),
    "sobel": (original, edges),
}
"""The versions of an image by each transformation, the original first; a label is a place here."""
