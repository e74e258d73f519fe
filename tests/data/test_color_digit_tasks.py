"""Digit, colour and place, read off the images."""

import colorsys

import pytest
import torch

from lelkern.data import DataConfig, DataSource, load
from lelkern.data.color_digit_tasks import COLOURS, PLACES


@pytest.fixture(scope="module")
def data():
    return DataSource(DataConfig(name="color-digit-tasks", seed=2)).load()


def test_images_and_digits_are_those_of_color_digits(data):
    digits = load("color-digits", seed=2)
    assert torch.equal(data.train_images, digits.train_images)
    assert torch.equal(data.test_images, digits.test_images)
    assert torch.equal(data.train_labels, digits.train_labels)
    assert torch.equal(data.test_labels, digits.test_labels)
    assert data.tasks == ("digit", "colour", "place")


def test_colours_are_those_of_the_ink(data):
    names = []
    for image, label in zip(data.test_images[:100], data.test_further[:100, 0], strict=True):
        ink = image.flatten(1).T[image.amax(dim=0).flatten().argmax()]
        hue = 6 * colorsys.rgb_to_hsv(*(ink / 255).tolist())[0]
        # Values of 204 and more, 143 of them or more between the channels: a level of rounding,
        # and ink that is not quite opaque, move the hue by a few hundredths of a sixth.
        if abs(hue % 1 - 0.5) > 0.1:
            assert label == round(hue) % 6
            names.append(COLOURS[int(label)])
    assert set(names) == set(COLOURS)
    # A pure colour has one channel on, a mixed one two of them.
    red, yellow = (data.test_images[data.test_further[:, 0] == i] for i in (0, 1))
    brightest = [part.flatten(2).amax(dim=2).double().mean(dim=0) for part in (red, yellow)]
    assert brightest[0].argmax() == 0
    assert brightest[1][:2].min() > 1.5 * brightest[1][2]


@pytest.mark.parametrize("axis", [0, 1])
def test_places_are_where_the_ink_is(data, axis):
    """The digit's 20 pixels begin at 0 or 1 in the first third, at 2, or at 3 or 4."""
    shown = data.train_images.int()
    paper = shown.flatten(2).gather(
        2, shown.sum(dim=1).flatten(1).argmin(dim=1)[:, None, None].expand(-1, 3, 1)
    )
    ink = ((shown - paper[..., None]).abs() > 8).any(dim=1)  # (N, 24, 24)
    line = ink.any(dim=2 - axis)  # (N, 24)
    first = line.int().argmax(dim=1)
    last = 23 - line.flip(1).int().argmax(dim=1)
    third = data.train_further[:, 1] // 3 if axis == 0 else data.train_further[:, 1] % 3
    begin, end = torch.tensor([0, 2, 3])[third], torch.tensor([20, 21, 23])[third]
    assert (first >= begin).all()
    assert (last <= end).all()


def test_every_class_is_as_frequent_as_it_is_drawn(data):
    n = len(data.train_labels)
    colours = data.train_further[:, 0].bincount(minlength=6) / n
    places = data.train_further[:, 1].bincount(minlength=9) / n
    thirds = torch.tensor([0.4, 0.2, 0.4])
    assert len(PLACES) == 9
    # Four standard deviations of a share p among n: 4 sqrt(p (1 - p) / n).
    for share, p in ((colours, torch.full((6,), 1 / 6)), (places, thirds.outer(thirds).flatten())):
        assert ((share - p).abs() < 4 * (p * (1 - p) / n).sqrt()).all()


def test_tasks_say_nothing_about_each_other(data):
    n, (a, b, c) = len(data.train_labels), data.task_labels("train").T
    for one, other, classes in ((a, b, (10, 6)), (a, c, (10, 9)), (b, c, (6, 9))):
        table = torch.zeros(classes, dtype=torch.float64)
        table.index_put_((one, other), torch.ones((), dtype=torch.float64), accumulate=True)
        expected = table.sum(dim=1).outer(table.sum(dim=0)) / n
        chi = ((table - expected) ** 2 / expected).sum()
        freedom = (classes[0] - 1) * (classes[1] - 1)
        assert chi < freedom + 4 * (2 * freedom) ** 0.5  # four standard deviations of chi squared
