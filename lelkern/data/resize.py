"""Bring images to a square size: the short side is resized, the long side cropped."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lelkern.torch_settings import usual_settings

_CHUNK = 4096  # images at a time: interpolation works in float32, four times the size of uint8


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
    for i in range(0, len(images), _CHUNK):
        resized = F.interpolate(
            images[i : i + _CHUNK].float(),
            size=(new_height, new_width),
            mode="bilinear",
            antialias=True,
        )
        crop = resized[:, :, top : top + size, left : left + size]
        result[i : i + _CHUNK] = crop.round().clamp(0, 255).to(torch.uint8)
    return result
