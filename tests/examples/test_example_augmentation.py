import pytest
import torch
from augmentation import Solarize

from lelkern.augment import Augment
from lelkern.methods.training import seeded


def solarized(images, **settings):
    with seeded(0):
        return Augment((Solarize(**settings),), images.shape[-1])(images)


def test_what_is_bright_becomes_its_negative():
    images = torch.rand(64, 3, 8, 8)
    out = solarized(images, min_threshold=0.5, p=1.0)
    assert torch.equal(torch.minimum(out, images), torch.where(out == images, images, 1 - images))
    changed = out != images
    assert images[changed].min() > 0.5
    assert torch.equal(out[changed], 1 - images[changed])


def test_thresholds_are_uniform_and_each_image_has_its_own():
    ramp = torch.linspace(0, 1, 1024).view(1, 1, 32, 32).expand(2000, 3, 32, 32)
    out = solarized(ramp, min_threshold=0.25, p=1.0)
    lowest = ramp.where(out != ramp, torch.ones(())).amin((1, 2, 3))
    assert lowest.min() >= 0.25
    # The mean of 2,000 draws of width 0.75, whose standard error is 0.75 / sqrt(12 * 2000).
    assert lowest.mean().item() == pytest.approx(0.625, abs=4 * 0.0048)


def test_p_is_the_share_of_images_that_change():
    images = torch.rand(2000, 3, 8, 8)
    assert torch.equal(solarized(images, p=0.0), images)
    share = (solarized(images, min_threshold=0.0, p=0.25) != images).any((1, 2, 3)).double().mean()
    # Four standard errors of 2,000 draws; a threshold above all 192 values is seldom.
    assert share.item() == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 2000) ** 0.5 + 0.25 / 192)
