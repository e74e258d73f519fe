"""A list of augmentations as one module."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from torch import Tensor, nn

from lelkern.augment.blur import Blur
from lelkern.augment.color import Color
from lelkern.augment.crop import Crop
from lelkern.augment.cutout import CutOut
from lelkern.augment.flip import Flip
from lelkern.augment.noise import Noise
from lelkern.augment.rotation import Rotation
from lelkern.augment.sobel import Sobel


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


Augmentation = Annotated[
    Annotated[
        Crop | Flip | Color | Blur | Rotation | CutOut | Sobel | Noise, Field(discriminator="name")
    ],
    BeforeValidator(_by_name),
]
"""One augmentation: its name, or a table of its name and parameters."""

AugmentConfig = tuple[Augmentation, ...]
"""Augmentations in the order in which they are applied."""


class Augment(nn.Module):
    """t(x): the augmentations one after the other, drawn anew for every image of every batch.

    Args:
        config: the augmentations.
        size: S, height and width of the images.
    """

    def __init__(self, config: AugmentConfig, size: int) -> None:
        super().__init__()
        self.size = size
        self.steps = nn.Sequential(*(augmentation.build(size) for augmentation in config))

    def forward(self, images: Tensor) -> Tensor:
        """Augment images (B, 3, S, S), float in [0, 1], keeping shape and range.

        Raises:
            ValueError: the images are not floating point, or not of this shape.
        """
        if not images.is_floating_point():
            raise ValueError(
                "images must be floating point, from 0 to 1, "
                f"got {images.dtype} {tuple(images.shape)}"
            )
        if images.ndim != 4 or images.shape[1:] != (3, self.size, self.size):
            raise ValueError(
                f"images must be (B, 3, {self.size}, {self.size}), got {tuple(images.shape)}"
            )
        return self.steps(images).clamp(0, 1)
