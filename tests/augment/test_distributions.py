"""What augmentations draw is distributed as their docstrings say.

Each test reads the drawn parameters off the augmented images of one batch and compares them with
the distribution by Pearson's chi-square test at p < 1e-6: with these seeds, or with any others, a
correct augmentation fails once in a million times.
"""

import itertools
import math

import pytest
import torch
from scipy.stats import chisquare

from lelkern.augment import Blur, Color, Crop, CutOut, Flip, Noise, Rotation, Sobel

SIGNIFICANCE = 1e-6
N = 4000


def augment(augmentation, image, n=N, seed=0):
    """Augment n copies of an image (3, H, W), in one batch."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        batch = image.expand(n, *image.shape).contiguous()
        return augmentation.build(image.shape[-1])(batch)


def assert_counts(counts, probabilities):
    assert sum(probabilities) == pytest.approx(1)
    expected = [sum(counts) * p for p in probabilities]
    assert min(expected) > 5  # as the approximation by chi-square asks for
    assert chisquare(counts, expected).pvalue > SIGNIFICANCE, (counts, expected)


def assert_share(hits, p):
    assert_counts([int(hits.sum()), int((~hits).sum())], [p, 1 - p])


def assert_uniform(values, low, high, bins=20):
    tolerance = 1e-3 * (high - low)  # of reading a parameter off float32 pixels
    assert low - tolerance <= values.min() <= values.max() <= high + tolerance
    bin_of = ((values - low) / (high - low) * bins).floor().clamp(0, bins - 1)
    assert_counts(bin_of.long().bincount(minlength=bins).tolist(), [1 / bins] * bins)


def test_rotation():
    image = torch.arange(3 * 8 * 8.0).view(3, 8, 8) / 192
    turned = torch.stack([torch.rot90(image, k, (1, 2)) for k in range(4)])
    equal = (augment(Rotation(), image)[:, None] == turned).all(4).all(3).all(2)
    assert (equal.sum(1) == 1).all()
    assert_counts(equal.sum(0).tolist(), [0.25] * 4)


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_flip(p):
    image = torch.rand(3, 4, 4)
    assert_share((augment(Flip(p=p), image) != image).any(3).any(2).any(1), p)


def position_and_size(cropped):
    """Read left, top, width and height in pixels off crops of the image of :func:`ramp`."""
    size = cropped.shape[-1]
    low, high = cropped[..., 0, 0] * size, cropped[..., -1, -1] * size
    left, top = low[:, 0].round().long(), low[:, 1].round().long()
    width, height = (high - low + 1)[:, :2].round().long().unbind(1)
    return left, top, width, height


def ramp(size):
    """Column and row number of every pixel over the size, in the first two channels."""
    numbers = torch.arange(float(size)) / size
    columns = numbers.expand(size, size)
    return torch.stack([columns, columns.T, torch.zeros(size, size)])


def assert_rounded(sizes, low, high, share_below):
    """Compare whole numbers with rounded draws whose distribution function is given."""
    edges = [low - 0.5, *(k + 0.5 for k in range(low, high)), high + 0.5]
    below = [min(1.0, max(0.0, share_below(edge))) for edge in edges]
    probabilities = [b - a for a, b in itertools.pairwise(below)]
    assert_counts((sizes - low).bincount(minlength=high - low + 1).tolist(), probabilities)


def test_crop_area():
    crop = Crop(min_scale=0.25, max_scale=0.81, min_aspect=1.0, max_aspect=1.0)
    _, _, width, height = position_and_size(augment(crop, ramp(40)))
    assert torch.equal(width, height)
    assert_rounded(width, 20, 36, lambda w: ((w / 40) ** 2 - 0.25) / 0.56)


def test_crop_aspect():
    crop = Crop(min_scale=0.25, max_scale=0.25, min_aspect=0.5, max_aspect=2.0)
    _, _, width, height = position_and_size(augment(crop, ramp(40)))
    for side in (width, height):  # 20 sqrt(aspect), 20 / sqrt(aspect)
        assert_rounded(side, 14, 28, lambda w: (2 * math.log2(w / 20) + 1) / 2)
    # Of a side of at least 14 pixels rounding takes 0.5, and as much of the other.
    area = width * height / 1600
    assert ((area - 0.25).abs() < 0.25 * (0.5 / 14 + 0.5 / 14 + 0.5**2 / 14**2)).all()


def test_crop_position():
    crop = Crop(min_scale=0.25, max_scale=0.25, min_aspect=1.0, max_aspect=1.0)
    left, top, width, height = position_and_size(augment(crop, ramp(16)))
    assert (width == 8).all()
    assert (height == 8).all()
    assert_counts((left * 9 + top).bincount(minlength=81).tolist(), [1 / 81] * 81)


@pytest.mark.parametrize(("size", "length"), [(12, 4), (12, 5), (6, 9)])
def test_cutout(size, length):
    grey = augment(CutOut(length=length), torch.zeros(3, size, size)) == 0.5
    assert (grey.all(1) == grey.any(1)).all()  # of all channels
    first, there, probabilities = [], [], {}
    for centre in range(size):
        low, high = max(0, centre - length // 2), min(size, centre - length // 2 + length)
        probabilities[low, high] = probabilities.get((low, high), 0) + 1 / size
    for across in (2, 1):
        covered = grey.any(1).any(across)  # (N, size): rows, then columns of the square
        first.append(covered.int().argmax(1))
        there.append(first[-1] + covered.sum(1))
        seen = list(zip(first[-1].tolist(), there[-1].tolist(), strict=True))
        assert_counts([seen.count(ends) for ends in probabilities], list(probabilities.values()))
    area = (there[0] - first[0]) * (there[1] - first[1])
    assert torch.equal(area, grey[:, 0].sum((1, 2)))  # nothing but the square
    # A pixel is covered by the centres of at most `length` rows times as many columns.
    place = torch.arange(size)
    centres = place - length // 2
    hits = (centres[:, None] <= place) & (place < centres[:, None] + length)  # (centre, place)
    share = hits.float().mean(0)[:, None] * hits.float().mean(0)
    mean = grey[:, 0].float().mean(0)
    # 5 standard errors: of at most 144 pixels one is outside once in 10,000 times.
    assert ((mean - share).abs() <= 5 * (share * (1 - share) / N).sqrt() + 1e-6).all()


GREY = (0.299, 0.587, 0.114)
# Of low contrast and saturation, and dark: no factor up to 1.8 reaches 0 or 1.
COLOURS = torch.tensor([[0.30, 0.25, 0.35], [0.35, 0.30, 0.25]]).T.view(3, 1, 2)


def only(**ranges):
    none = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    return Color(**{**none, "p": 1.0, "grey_p": 0.0, **ranges})


def grey(images):
    """Return the grey (..., 1, H, W) of images (..., 3, H, W)."""
    return (images * torch.tensor(GREY).view(3, 1, 1)).sum(-3, keepdim=True)


def read_factors(kind, images):
    rest = {
        "brightness": torch.zeros(3, 1, 1),
        "contrast": grey(COLOURS).mean(),
        "saturation": grey(COLOURS),
    }[kind]
    factors = (images - rest) / (COLOURS - rest)
    # One factor for all pixels of an image; 1e-4: cancellation in differences of 0.01.
    assert (factors.amax((1, 2, 3)) - factors.amin((1, 2, 3))).max() < 1e-4
    return factors.mean((1, 2, 3))


@pytest.mark.parametrize("kind", ["brightness", "contrast", "saturation"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_color_factors(kind, strength):
    color = only(**{kind: 0.8}, strength=strength)
    factors = read_factors(kind, augment(color, COLOURS))
    assert_uniform(factors, 1 - 0.8 * strength, 1 + 0.8 * strength)


@pytest.mark.parametrize(("hue", "strength"), [(0.2, 0.5), (0.2, 1.0), (0.5, 1.25)])
def test_color_hue(hue, strength):
    out = augment(only(hue=hue, strength=strength), torch.tensor([0.6, 0.2, 0.2]).view(3, 1, 1))
    red, green, blue = out[..., 0, 0].unbind(1)
    # The hue of a colour with values 0.2 to 0.6, 0 for red, by the hexagon of HSV.
    position = torch.where(
        (red >= green) & (red >= blue),
        (green - blue) / 0.4,
        torch.where(green >= blue, 2 + (blue - red) / 0.4, 4 + (red - green) / 0.4),
    )
    turn = torch.remainder(position / 6 + 0.5, 1) - 0.5
    largest = min(0.5, hue * strength)
    assert_uniform(turn, -largest, largest)


def test_color_probabilities():
    jittered = augment(only(brightness=0.8, p=0.3), COLOURS)
    assert_share((jittered != COLOURS).any(3).any(2).any(1), 0.3)
    greyed = augment(Color(p=0.0, grey_p=0.3), COLOURS)
    is_grey = (greyed[:, :1] - greyed).abs().amax((1, 2, 3)) < 1e-6
    assert_share(is_grey, 0.3)
    # 1e-6: sums of three float32 numbers below 1.
    assert (greyed[is_grey] - grey(COLOURS)).abs().max() < 1e-6


def test_color_order_is_drawn_for_a_batch():
    image = torch.tensor([0.35, 0.65, 0.95]).expand(3, 1, 3)
    color = only(brightness=0.8, contrast=0.1)
    brightness_first = []
    for seed in range(200):
        low, middle, high = augment(color, image, n=64, seed=seed)[:, 0, 0].unbind(1)
        # Brightness cuts off the largest value, contrast does not: 0.65 + 1.1 (0.95 - 0.65) < 1.
        # Only if brightness comes first does a smaller contrast then take it below 1 again.
        uneven = ((high - middle) - (middle - low)).abs() > 1e-3
        brightness_first.append(bool((uneven & (high < 1)).any()))
    assert_share(torch.tensor(brightness_first), 0.5)


def test_blur():
    image = torch.zeros(3, 40, 40)
    image[:, 20, 20] = 0.9
    out = augment(Blur(min_sigma=0.5, max_sigma=2.0, p=0.7), image)
    blurred = (out != image).any(3).any(2).any(1)
    assert_share(blurred, 0.7)
    # A Gaussian falls by exp(-1 / (2 sigma^2)) from its peak to the next pixel.
    ratio = out[blurred, 0, 20, 21] / out[blurred, 0, 20, 20]
    assert_uniform((-0.5 / ratio.log()).sqrt(), 0.5, 2.0)
    row = out[blurred, 0].sum(1)
    assert ((row > 0).sum(1) == 5).all()
    assert torch.allclose(row.sum(1), torch.tensor(0.9))


def test_blur_of_small_images_is_cut_off():
    image = torch.zeros(3, 32, 32)
    image[:, 16, 16] = 1.0
    row = augment(Blur(min_sigma=2.0, max_sigma=2.0, p=1.0), image, n=1)[0, 0].sum(0)
    variance = (row * (torch.arange(32.0) - 16) ** 2).sum()
    assert math.sqrt(variance) == pytest.approx(0.8, abs=0.01)


def test_sobel_probability():
    assert_share((augment(Sobel(p=0.3), COLOURS) != COLOURS).any(3).any(2).any(1), 0.3)


def test_noise():
    image = torch.full((3, 40, 40), 0.5)
    noise = augment(Noise(min_sigma=0.02, max_sigma=0.1), image) - image
    sigma = noise.square().mean((1, 2, 3)).sqrt()
    # Of 4,800 numbers the deviation is known to 1 % (standard error), which the ends show.
    assert 0.02 * 0.95 < sigma.min() < sigma.max() < 0.1 * 1.05
    inner = (sigma - 0.03) / 0.06  # away from the ends, where that does not matter
    inside = inner[(inner > 0) & (inner < 1)]
    assert_uniform(inside, 0, 1, bins=10)
    normed = (noise / sigma.view(-1, 1, 1, 1)).flatten()
    below = [(normed < q).float().mean().item() for q in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    expected = torch.special.ndtr(torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]))
    # 6 standard errors of a share of 19 million are at most 7e-4.
    assert torch.allclose(torch.tensor(below), expected, atol=1e-3)
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
    assert neighbours.abs() < 2e-3  # 6 standard errors of 18 million products
