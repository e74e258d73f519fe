"""Color digits with what they were drawn from as further tasks: digit, colour and place."""

from itertools import product

import torch
from torch import Tensor

from lelkern.data.color_digits import TEST, VERSION, color_digits, draw
from lelkern.data.image_task_data import ImageTaskData
from lelkern.data.registry import register

COLOURS = ("red", "yellow", "green", "cyan", "blue", "magenta")
"""Sixths of the colour circle, each around its pure colour."""

PLACES = tuple(
    f"{row} {column}"
    for row, column in product(("top", "middle", "bottom"), ("left", "centre", "right"))
)
"""Thirds of the canvas; of five positions along a side the outer thirds have two each."""


@register(
    "color-digit-tasks",
    ImageTaskData,
    summary="color-digits with three labels each: digit, colour and place; built in",
    version=VERSION,
)
def color_digit_tasks(seed: int = 0) -> ImageTaskData:
    """Return the images of ``color-digits`` with the labels of three tasks.

    Args:
        seed: as of :func:`~lelkern.data.color_digits.color_digits`.

    Returns:
        1,297 train and 500 test images: the ``digit``, its ``colour`` in sixths of the colour
        circle, and the ``place`` of the digit in thirds of the canvas.
    """
    digits, drawing = color_digits(seed), draw(seed)
    colours = (drawing.hues * 6).round().long() % len(COLOURS)
    further = torch.stack([colours, _place(drawing.corners)], dim=1)  # (N, 2)
    return ImageTaskData(
        name="color-digit-tasks",
        train_images=digits.train_images,
        train_labels=digits.train_labels,
        test_images=digits.test_images,
        test_labels=digits.test_labels,
        classes=digits.classes,
        task="digit",
        further=("colour", "place"),
        further_classes=(COLOURS, PLACES),
        train_further=further[:-TEST].contiguous(),
        test_further=further[-TEST:].contiguous(),
    )


def _place(corners: Tensor) -> Tensor:
    """Map corners (N, 2), rows and columns from 0 to 4, to indices into :data:`PLACES`."""
    rows, columns = torch.tensor([0, 0, 1, 2, 2])[corners].T
    return rows * 3 + columns
