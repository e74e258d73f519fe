"""Pasting of boxes in plain PyTorch: the specification of CutMix's op, and its fallback.

Every implementation rounds as this one does: results have the same bits.
"""

import torch
from torch import Tensor

from lelkern.reference.mixup import computed_in, of_features, rescaled


def cut_rows(
    x: Tensor,
    boxes: Tensor,
    perm: Tensor,
    scale: Tensor | None,
    offset: Tensor | None,
    height: int,
    width: int,
    inner: int,
    dtype: torch.dtype,
) -> Tensor:
    """Return images with a box of another image pasted into each: (N, D) in ``dtype``.

    An image is a row of ``x``: ``inner`` numbers side by side a pixel, one pixel after the other,
    ``height * width`` of them, and that as often as fits. Image i becomes image perm[i] inside of
    boxes[i]: top, left, height, width. Scale and offset are one element a channel: those that lie
    side by side if ``inner`` > 1, and otherwise the images that make up a row.
    """
    rows = rescaled(x, scale, offset, _channel_step(height, width, inner), computed_in(x, dtype))
    inside = _inside(boxes, rows.shape[1], height, width, inner)
    return torch.where(inside, rows[perm], rows).to(dtype)


def cut_rows_backward(
    grad: Tensor,
    x: Tensor,
    boxes: Tensor,
    perm: Tensor,
    scale: Tensor | None,
    offset: Tensor | None,
    height: int,
    width: int,
    inner: int,
    dtype: torch.dtype,
) -> Tensor:
    """Return the gradient of x, given that of the results (N, D)."""
    grad = grad.to(computed_in(x, dtype))
    inside = _inside(boxes, grad.shape[1], height, width, inner)
    pasted = torch.where(inside, grad, 0)
    grad_x = torch.where(inside, 0, grad) + pasted[perm.argsort()]
    if scale is not None:
        step = _channel_step(height, width, inner)
        grad_x = grad_x * of_features(scale, grad.shape[1], step)
    return grad_x.to(x.dtype)


def _channel_step(height: int, width: int, inner: int) -> int:
    """Return the number of features in a row that are of one channel."""
    return height * width if inner == 1 else 1


def _inside(boxes: Tensor, features: int, height: int, width: int, inner: int) -> Tensor:
    """Return which features of images are inside of their box: (N, D)."""
    pixel = torch.arange(features, device=boxes.device) // inner
    row, column = pixel // width % height, pixel % width
    top, left, tall, wide = (side.unsqueeze(1) for side in boxes.unbind(1))
    return (row >= top) & (row < top + tall) & (column >= left) & (column < left + wide)
