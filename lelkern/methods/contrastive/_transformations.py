"""Transformations of images that a linear probe may find in a representation, or not."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lelkern.config import Config

NOISE = 0.2
"""Standard deviation of the noise that corrupts images, whose values are from 0 to 1."""


def original(images: Tensor) -> Tensor:
    """Return images as they are."""
    return images


def grey(images: Tensor) -> Tensor:
    """Return 0.299 R + 0.587 G + 0.114 B of images (B, 3, H, W), in all three channels."""
    weights = images.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    return (images * weights).sum(dim=1, keepdim=True).expand_as(images)


def corrupted(images: Tensor) -> Tensor:
    """Return images with Gaussian noise of standard deviation :data:`NOISE`, from 0 to 1."""
    # Drawn on the CPU, so that a seed gives the same noise on every device.
    return (images + NOISE * torch.randn(images.shape).to(images.device)).clamp(0, 1)


def sobel(images: Tensor) -> Tensor:
    r"""Return the size of the gradient of every channel of images (B, 3, H, W), at most 1.

    .. math:: \tfrac14 \sqrt{(S * x)^2 + (S^\top * x)^2}, \qquad
              S = \begin{pmatrix} -1 & 0 & 1 \\ -2 & 0 & 2 \\ -1 & 0 & 1 \end{pmatrix}

    with the outermost pixels continued beyond the border. An edge from 0 to 1 becomes 1.
    """
    across = images.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
    kernels = torch.stack([across, across.T])[:, None]  # (2, 1, 3, 3)
    channels = F.pad(images, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[:, None]
    gradient: Tensor = F.conv2d(channels, kernels)  # (3 B, 2, H, W)
    return gradient.square().sum(dim=1).sqrt().clamp(max=1).view_as(images)


TRANSFORMATIONS: Mapping[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "rotation": tuple(partial(torch.rot90, k=k, dims=(2, 3)) for k in range(4)),
    "grey": (original, grey),
    "noise": (original, corrupted),
    "sobel": (original, sobel),
}
"""The versions of an image by each transformation, the original first; a label is a place here."""

Transformation = Literal["rotation", "grey", "noise", "sobel"]


class Vary(Config):
    """An augmentation: one version by a transformation for every image, each as likely.

    Attributes:
        name: of the transformation.
    """

    name: Transformation

    def build(self, size: int) -> nn.Module:
        """Make the module."""
        return _Vary(TRANSFORMATIONS[self.name])


class _Vary(nn.Module):
    def __init__(self, versions: tuple[Callable[[Tensor], Tensor], ...]) -> None:
        super().__init__()
        self.versions = versions

    def forward(self, images: Tensor) -> Tensor:
        chosen = torch.randint(len(self.versions), (len(images), 1, 1, 1)).to(images.device)
        varied = images
        for version, transform in enumerate(self.versions):
            varied = torch.where(chosen == version, transform(images), varied)
        return varied
