"""Color digits: the data set that is always there.

Scikit-learn ships 1,797 real handwritten digits (8x8, grey; Alpaydin & Kaynak 1998). Each is
enlarged to 20x20, put at a random place on a 24x24 canvas and painted in a bright hue on a dark
one, both drawn at random, independently of the class. Colour is thus pure nuisance, and an easy
one: two crops of an image share it, so a contrastive method without colour augmentation can solve
its task by colour alone (SimCLR, Figure 6). The set is small enough for a study on one core,
and still shows what such studies are about.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lelkern.data.image_data import ImageData
from lelkern.data.registry import register

VERSION = 1
"""Raised whenever the same seed would give other images, so that caches notice."""

TEST = 500
"""The last images are for testing."""

_DIGIT, _CANVAS = 20, 24


class Drawing(NamedTuple):
    """All images, and what was drawn to make them.

    Attributes:
        images: (1797, 3, 24, 24) uint8.
        labels: the digits, (1797,) int64.
        corners: row and column of the digits' upper left corners, (1797, 2) int64 from 0 to 4.
        hues: of the digits' colours, as shares of the colour circle, (1797,) float64 in [0, 1).
    """

    images: Tensor
    labels: Tensor
    corners: Tensor
    hues: Tensor


@register(
    "color-digits",
    ImageData,
    summary="1,797 handwritten digits in random colours, 24x24; built in",
    version=VERSION,
)
def color_digits(seed: int = 0) -> ImageData:
    """Return the data set: 1,297 train and 500 test images, 24x24, ten classes of like size.

    Args:
        seed: fixes colours, places and the split. The global generator is not touched.

    Returns:
        the data set, named ``color-digits``.
    """
    images, labels, _, _ = draw(seed)
    return ImageData(
        name="color-digits",
        train_images=images[:-TEST].contiguous(),
        train_labels=labels[:-TEST].contiguous(),
        test_images=images[-TEST:].contiguous(),
        test_labels=labels[-TEST:].contiguous(),
        classes=tuple(str(digit) for digit in range(10)),
    )


def draw(seed: int) -> Drawing:
    """Draw all images, training images first; digits, places and colours are independent.

    Args:
        seed: decides everything.
    """
    # Imported here: scikit-learn takes a second, which `import lelkern.data` should not cost.
    from sklearn.datasets import load_digits

    generator = torch.Generator().manual_seed(seed)
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=generator)
    labels = torch.from_numpy(digits.target).long()[order]
    ink = torch.from_numpy(digits.images)[order] / 16  # (N, 8, 8) in [0, 1]

    placed, corners = _place(_enlarge(ink), generator)
    alpha = placed[:, None]  # (N, 1, 24, 24)
    n = len(labels)
    bright, hues = _random_color(n, saturation=(0.7, 1.0), value=(0.8, 1.0), generator=generator)
    dark, _ = _random_color(n, saturation=(0.5, 1.0), value=(0.1, 0.4), generator=generator)
    images = (alpha * bright + (1 - alpha) * dark).mul(255).round().to(torch.uint8)
    return Drawing(images, labels, corners, hues)


def _enlarge(ink: Tensor) -> Tensor:
    """(N, 8, 8) -> (N, 20, 20); bilinear, so that the result stays in [0, 1]."""
    return F.interpolate(ink[:, None], size=(_DIGIT, _DIGIT), mode="bilinear")[:, 0]


def _place(digits: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Put each digit (N, 20, 20) on an empty canvas (N, 24, 24), its corner (N, 2) at random."""
    n = len(digits)
    corner = torch.randint(_CANVAS - _DIGIT + 1, (2, n, 1), generator=generator)
    rows, columns = corner + torch.arange(_DIGIT)  # (N, 20) each
    canvas = digits.new_zeros(n, _CANVAS, _CANVAS)
    canvas[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]] = digits
    return canvas, corner[:, :, 0].T.contiguous()


def _random_color(
    n: int,
    *,
    saturation: tuple[float, float],
    value: tuple[float, float],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Draw n colours, HSV uniform with any hue: RGB (N, 3, 1, 1), and hue (N,), in [0, 1]."""
    h, s, v = torch.rand(3, n, 1, dtype=torch.float64, generator=generator)
    s = torch.lerp(s.new_tensor(saturation[0]), s.new_tensor(saturation[1]), s)
    v = torch.lerp(v.new_tensor(value[0]), v.new_tensor(value[1]), v)
    # A channel lies at distance k (in sixths of the colour wheel) from where it is off.
    k = (h * 6 + torch.tensor([5.0, 3.0, 1.0])) % 6  # (N, 3): red, green, blue
    rgb = v * (1 - s * torch.minimum(k, 4 - k).clamp(0, 1))
    return rgb[:, :, None, None], h[:, 0]
