"""Bring images to a square size: the short side is resized, the long side cropped."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lelkern.torch_settings import usual_settings

_NUMBERS = 1 << 23
"""How many numbers are resized at a time: in float32, which interpolation works in, 32 MiB."""


def target_size(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width after resizing so that the short side is `size`; the aspect is kept."""
    short = min(height, width)
    return max(size, round(height * size / short)), max(size, round(width * size / short))


@usual_settings()
def resize_and_crop(images: Tensor, size: int) -> Tensor:
    """Resize (bilinear, antialiased) and centre-crop.

    Args:
        images: (N, 3, H, W) uint8.
        size: height and width of the result.

    Returns:
        (N, 3, size, size) uint8; `images` itself where they have that size.
    """
    height, width = images.shape[-2:]
    if (height, width) == (size, size):
        return images
    result = torch.empty((len(images), 3, size, size), dtype=torch.uint8)
    new_height, new_width = target_size(height, width, size)
    top, left = (new_height - size) // 2, (new_width - size) // 2
    chunk = max(1, _NUMBERS // (3 * max(height * width, new_height * new_width)))
    for i in range(0, len(images), chunk):
        resized = F.interpolate(
            images[i : i + chunk].float(),
            size=(new_height, new_width),
            mode="bilinear",
            antialias=True,
        )
        crop = resized[:, :, top : top + size, left : left + size]
        result[i : i + chunk] = crop.round().clamp(0, 255).to(torch.uint8)
    return result
