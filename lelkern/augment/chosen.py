"""Augmentations that not every image goes through."""

from collections.abc import Callable

import torch
from torch import Tensor


def change_some(images: Tensor, p: float, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Return images of which each was changed with some probability.

    Which ones is drawn on the CPU, so that a seed gives the same on every device.

    Args:
        images: (B, 3, H, W).
        p: the probability.
        change: given only the images that are changed, (C, 3, H, W), it returns them changed.
    """
    which = torch.nonzero(torch.rand(len(images)) < p)[:, 0]
    if len(which) == len(images):
        return change(images)
    if len(which) == 0:
        return images
    which = which.to(images.device)
    return images.index_copy(0, which, change(images[which]))
