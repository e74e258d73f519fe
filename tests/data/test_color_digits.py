import colorsys
import hashlib
import subprocess
import sys

import torch
from sklearn.datasets import load_digits

from lelkern.data import load
from lelkern.evaluate import knn, linear_probe


def test_shapes_and_classes():
    data = load("color-digits")
    assert data.name == "color-digits"
    assert data.train_images.shape == (1297, 3, 24, 24)
    assert data.test_images.shape == (500, 3, 24, 24)
    assert data.classes == tuple("0123456789")
    labels = torch.cat([data.train_labels, data.test_labels])
    assert labels.bincount().tolist() == torch.tensor(load_digits().target).bincount().tolist()
    assert data.test_labels.bincount(minlength=10).min() >= 30


def test_the_seed_decides_and_the_global_generator_does_not():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = load("color-digits", seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    two = load("color-digits", seed=3)
    other = load("color-digits", seed=4)
    assert torch.equal(one.train_images, two.train_images)
    assert torch.equal(one.test_labels, two.test_labels)
    assert not torch.equal(one.train_images, other.train_images)
    assert not torch.equal(one.train_labels, other.train_labels)


def test_images_are_those_of_version_1():
    # Whoever changes the images on purpose raises VERSION in color_digits.py and this hash. The
    # labels are exact; of the images a mean, since rounding may differ between processors.
    data = load("color-digits")
    digest = hashlib.sha256(data.train_labels.numpy().tobytes()).hexdigest()
    assert digest[:16] == "9e6fd638436090dc"
    assert abs(data.train_images.double().mean().item() - 59.5317) < 1e-2


def test_each_image_is_a_digit_in_one_color_on_another():
    """A pixel lies on the line between two colours; the corner shows one, the ink the other."""
    data = load("color-digits")
    for image in data.train_images[:50].double():
        pixels = image.flatten(1).T  # (576, 3)
        singular = torch.linalg.svdvals(pixels - pixels.mean(dim=0))
        assert singular[1] < 0.02 * singular[0]  # rounding to uint8 aside, one dimension
        # 24 - 20 leaves at least one row or column at a border free; the darkest pixel is paper.
        paper = pixels[pixels.sum(dim=1).argmin()]
        _, _, value = colorsys.rgb_to_hsv(*(paper / 255).tolist())
        assert 0.09 <= value <= 0.41
        ink = pixels[pixels.amax(dim=1).argmax()]
        assert colorsys.rgb_to_hsv(*(ink / 255).tolist())[2] > 0.7


def test_hues_are_spread_and_independent_of_the_class():
    data = load("color-digits")
    images = data.train_images.double() / 255
    brightest = images.amax(dim=1).flatten(1).argmax(dim=1)
    rgb = images.flatten(2)[torch.arange(len(images)), :, brightest]
    hue = torch.tensor([colorsys.rgb_to_hsv(*color.tolist())[0] for color in rgb])
    counts = torch.histc(hue, bins=6, min=0, max=1)
    assert counts.min() > 0.6 * len(hue) / 6
    # The mean resultant of the hues of one class: 1/sqrt(130) = 0.09 where they are uniform.
    for digit in range(10):
        angle = 2 * torch.pi * hue[data.train_labels == digit]
        assert torch.hypot(angle.cos().mean(), angle.sin().mean()) < 0.25


def test_digits_are_put_all_over_the_canvas():
    data = load("color-digits")
    images = data.train_images.double().sum(dim=1)
    ink = images - images.amin(dim=(1, 2), keepdim=True) > 60
    rows = ink.any(dim=2).int().argmax(dim=1)  # the first row with ink
    assert set(range(5)) <= set(rows.tolist())
    assert ink[:, :, -1].any()
    assert ink[:, -1].any()


def test_digits_stand_upright():
    data = load("color-digits")
    ink = data.train_images.double().sum(dim=1)
    one = ink[data.train_labels == 1].mean(dim=0)  # (24, 24)
    # A one is a stroke: its ink spreads over the rows, and is gathered in the middle columns.
    assert one.mean(dim=0).std() > 1.5 * one.mean(dim=1).std()
    seven = ink[data.train_labels == 7].mean(dim=0)
    # The bar of a seven is at its top: more ink in the upper half, which mirroring would change.
    assert seven[:12].sum() > 1.02 * seven[12:].sum()


def test_raw_pixels_are_of_the_known_difficulty():
    data = load("color-digits")
    train, test = data.train_images.flatten(1) / 255, data.test_images.flatten(1) / 255
    assert 0.65 < linear_probe(train, data.train_labels, test, data.test_labels) < 0.8
    assert 0.4 < knn(train, data.train_labels, test, data.test_labels) < 0.6


def test_importing_the_package_is_light():
    code = (
        "import lelkern.data, sys; "
        "assert 'sklearn' not in sys.modules; assert 'torchvision' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
