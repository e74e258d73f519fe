"""Augmentations are those of torchvision, pixel by pixel, and distributed as those of kornia.

Two samples are compared by Kolmogorov's and Smirnov's test at p < 1e-6, and by their means and
deviations within 6 standard errors: with these seeds, or with any others, equal distributions fail
once in a million times.
"""

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import ks_2samp
from torchvision.transforms.v2 import functional as TV

from lelkern.augment import Augment, Blur, Color, Crop, Flip, Sobel
from lelkern.augment.color import grey, turn_hue
from lelkern.augment.sobel import edges

SIGNIFICANCE = 1e-6
N = 1500


@pytest.fixture(scope="module")
def images():
    """Smooth images in colour, (N, 3, 20, 20): noise would hide what a crop or a blur does."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 5, 5, generator=generator)
    image = F.interpolate(coarse, size=20, mode="bilinear", align_corners=True)
    return image.expand(N, -1, -1, -1).contiguous()


# --- pixel by pixel ---------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [-0.5, -0.21, 0.0, 1 / 3, 0.5])
def test_hues_turn_as_torchvisions(turn):
    images = torch.rand(2, 3, 9, 9)
    images[:, :, 0] = images[:, :1, 0]  # grey pixels
    images[:, :, 1, :3] = torch.tensor([0.0, 1.0, 0.5])  # black, white
    turned = turn_hue(images, torch.full((2, 1, 1, 1), turn))
    # Both round in float32; a hue of 6 rounded to float32 is off by 2.4e-7 of values up to 1.
    torch.testing.assert_close(turned, TV.adjust_hue(images, turn), atol=2e-6, rtol=0)


def test_the_hue_of_nearly_grey_pixels_is_finite():
    nearly = torch.full((1, 3, 2, 2), 0.5)
    nearly[:, 1] += 6e-8
    turned = turn_hue(nearly, torch.full((1, 1, 1, 1), 0.3))
    torch.testing.assert_close(turned, nearly, atol=1e-7, rtol=0)


@pytest.mark.parametrize("size", [20, 40, 61])
def test_blur_is_torchvisions(size):
    images = torch.rand(2, 3, size, size)
    blurred = Augment((Blur(min_sigma=1.3, max_sigma=1.3, p=1.0),), size)(images)
    side = max(3, size // 20 * 2 + 1)
    torch.testing.assert_close(blurred, TV.gaussian_blur(images, side, 1.3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_blur_of_images_smaller_than_its_kernel_keeps_their_brightness(size):
    grey_ = torch.full((2, 3, size, size), 0.3)
    blurred = Blur(p=1.0).build(40)(grey_)  # five pixels
    torch.testing.assert_close(blurred, grey_)


def test_crop_is_the_part_enlarged():
    """At the place and size read off ramps; the image's own part is interpolated by PyTorch."""
    size, n = 12, 50
    numbers = torch.arange(float(size)) / size
    columns = numbers.expand(size, size)
    picture = torch.stack([columns, columns.T, torch.rand(size, size)]).expand(n, -1, -1, -1)
    for cropped in Augment((Crop(min_scale=0.1, max_scale=0.6),), size)(picture):
        left, right = (cropped[0, 0, [0, -1]] * size).round().long().tolist()
        top, bottom = (cropped[1, [0, -1], 0] * size).round().long().tolist()
        part = picture[:1, :, top : bottom + 1, left : right + 1]
        enlarged = F.interpolate(part, size=size, mode="bilinear", align_corners=True)[0]
        torch.testing.assert_close(cropped, enlarged, atol=1e-5, rtol=0)


def test_a_crop_that_never_fits_is_the_largest_that_the_ratios_allow():
    square = torch.arange(64.0).view(1, 1, 8, 8).expand(2, 3, 8, 8) / 64
    wide = Augment((Crop(min_scale=1.0, min_aspect=2.0, max_aspect=2.0),), 8)(square)
    assert torch.allclose(wide[:, 0, 0, -1] - wide[:, 0, 0, 0], torch.tensor(7 / 64))
    rows = (wide[:, 0, -1, 0] - wide[:, 0, 0, 0]) * 64 / 8
    torch.testing.assert_close(rows, torch.full((2,), 3.0))  # four of them


@pytest.mark.parametrize("size", [1, 2, 7])
def test_edges_are_those_of_the_definition(size):
    images = torch.rand(3, 3, size, size)
    kernel = torch.tensor([[1.0, 2.0, 1.0]]).T @ torch.tensor([[-1.0, 0.0, 1.0]]) / 4
    padded = F.pad(grey(images), (1, 1, 1, 1), mode="replicate")
    gx, gy = F.conv2d(padded, torch.stack([kernel, kernel.T])[:, None]).split(1, dim=1)
    expected = torch.hypot(gx, gy).clamp(max=1).expand(-1, 3, -1, -1)
    torch.testing.assert_close(edges(images), expected, atol=1e-6, rtol=0)


def test_the_edge_of_a_step_is_its_height():
    step = torch.zeros(1, 3, 6, 6)
    step[..., 3:] = 0.7
    expected = torch.tensor([0, 0, 0.7, 0.7, 0, 0]).expand(1, 3, 6, 6)
    torch.testing.assert_close(edges(step), expected)
    torch.testing.assert_close(edges(step.mT), expected.mT)
    assert torch.equal(Augment((Sobel(p=1.0),), 6)(step), edges(step))


# --- in distribution --------------------------------------------------------------------------


def kornias(augmentation, size):
    """kornia's module for the same augmentation."""
    K = pytest.importorskip("kornia.augmentation")
    a = augmentation
    match a.name:
        case "crop":
            scale, ratio = (a.min_scale, a.max_scale), (a.min_aspect, a.max_aspect)
            return K.RandomResizedCrop((size, size), scale=scale, ratio=ratio)
        case "flip":
            return K.RandomHorizontalFlip(p=a.p)
        case "blur":
            return K.RandomGaussianBlur((3, 3), sigma=(a.min_sigma, a.max_sigma), p=a.p)
        case "color":
            ranges = (a.strength * r for r in (a.brightness, a.contrast, a.saturation, a.hue))
            return torch.nn.Sequential(K.ColorJitter(*ranges, p=a.p), K.RandomGrayscale(p=a.grey_p))
    raise AssertionError(a.name)


def statistics(images):
    """Numbers of each image that together notice place, size, colour and sharpness."""
    centred = images - images.mean((2, 3), keepdim=True)
    return {
        "mean of red": images[:, 0].mean((1, 2)),
        "mean of blue": images[:, 2].mean((1, 2)),
        "deviation": images.std((1, 2, 3)),
        "colour": (images.amax(1) - images.amin(1)).mean((1, 2)),
        "left less right": (images[..., :10] - images[..., 10:]).mean((1, 2, 3)),
        "upper less lower": (images[:, :, :10] - images[:, :, 10:]).mean((1, 2, 3)),
        "steepness": (images[..., 1:] - images[..., :-1]).abs().mean((1, 2, 3)),
        "red with green": (centred[:, 0] * centred[:, 1]).mean((1, 2)),
        "a pixel": images[:, 1, 3, 4],
    }


@pytest.mark.parametrize(
    ("augmentation", "order"),
    [
        (Crop(), None),
        (Crop(min_scale=0.05, max_scale=0.4, min_aspect=0.3, max_aspect=3.0), None),
        (Flip(), None),
        (Blur(), None),
        (Color(), (0, 1, 2, 3)),
        (Color(strength=0.5, hue=0.5, p=1.0, grey_p=0.5), (3, 2, 1, 0)),
        (Color(hue=0.1), (2, 0, 3, 1)),
        (Color(hue=0.4, p=0.5), (1, 3, 0, 2)),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_distributed_as_kornias(augmentation, order, images, monkeypatch):
    theirs = kornias(augmentation, 20)
    if order is not None:  # of the four parts of jitter: both draw one for a batch
        monkeypatch.setattr(torch, "randperm", lambda n, **_: torch.tensor(order))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours = statistics(Augment((augmentation,), 20)(images))
        other = statistics(theirs(images).clamp(0, 1))
    for name, own in ours.items():
        peer = other[name]
        # Rounded: equal values that were computed in another order are equal.
        rounded = [(values * 1e4).round().tolist() for values in (own, peer)]
        assert ks_2samp(*rounded).pvalue > SIGNIFICANCE, name
        error = (own.var() / N + peer.var() / N).sqrt()
        assert (own.mean() - peer.mean()).abs() <= 6 * error + 1e-4, name
        spread = ((own - own.mean()).square().var() + (peer - peer.mean()).square().var()) / N
        assert (own.var() - peer.var()).abs() <= 6 * spread.sqrt() + 1e-6, name
