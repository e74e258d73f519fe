"""What is asked of h and of g(h): the labels are right, and the answers those of either."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import sobel as scipy_sobel
from small_runs import FLOAT32, SMALL
from torch import nn

from lelkern.data import ImageData
from lelkern.data.color_digit_tasks import color_digit_tasks
from lelkern.evaluate.features import to_unit
from lelkern.methods.contrastive import head_forgets
from lelkern.methods.contrastive._transformations import (
    NOISE,
    TRANSFORMATIONS,
    corrupted,
    in_grey,
)
from lelkern.methods.contrastive.head_forgets import (
    METRICS,
    HeadForgetsConfig,
    Probed,
    evaluate,
    every_version,
    probes,
)


class Parts(nn.Module):
    """A model whose h are the pixels, and whose g(h) is a part of them."""

    def __init__(self, keep=slice(None)):
        super().__init__()
        self.encoder, self.head = nn.Flatten(), Part(keep)


class Part(nn.Module):
    def __init__(self, keep):
        super().__init__()
        self.keep = keep

    def forward(self, h):
        return h[:, self.keep]


@pytest.fixture(scope="module")
def tasks():
    """The first 120 training and 60 test images."""
    data, parts = color_digit_tasks(), {}
    for split, number in (("train", 120), ("test", 60)):
        for field in ("images", "labels", "further"):
            parts[f"{split}_{field}"] = getattr(data, f"{split}_{field}")[:number]
    return replace(data, **parts)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_a_label_is_the_number_of_the_version(tasks, name):
    images = tasks.train_images[:5]
    torch.manual_seed(0)
    found = every_version(Parts(), images, name)
    versions = len(TRANSFORMATIONS[name])
    assert found.labels.tolist() == [v for v in range(versions) for _ in range(5)]
    assert torch.equal(found.h[:5], to_unit(images).flatten(1))
    assert torch.equal(found.h, found.z)
    if name == "rotation":
        for k in range(4):
            turned = np.rot90(images.numpy(), k, axes=(2, 3)).reshape(5, -1) / np.float32(255)
            assert np.array_equal(found.h[found.labels == k].numpy(), turned)
    else:
        assert not torch.equal(found.h[5:], found.h[:5])


def test_transformations_are_what_they_say():
    torch.manual_seed(0)
    x = torch.rand(3, 3, 7, 7)
    r, g, b = x.double().unbind(1)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    for channel in in_grey(x).unbind(1):
        torch.testing.assert_close(channel.double(), luma)
    (_, filtered) = (version(x) for version in TRANSFORMATIONS["sobel"])
    for image, plain in zip(filtered, luma.numpy(), strict=True):
        across, down = (scipy_sobel(plain, axis, mode="nearest") / 4 for axis in (1, 0))
        expected = np.minimum(np.hypot(across, down), 1)
        for channel in image:
            np.testing.assert_allclose(channel.numpy(), expected, atol=1e-6)
    noise = corrupted(torch.full((4, 3, 50, 50), 0.5)) - 0.5
    assert float(noise.std()) == pytest.approx(NOISE, rel=0.1)
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)


def test_z_is_as_wide_as_h():
    config = HeadForgetsConfig.parse(SMALL, "test")
    learnt = config.of_training()
    assert learnt.head.out == 16  # 4 times the encoder's width
    assert learnt.head.width == config.head.width == 16
    assert config.head.out == 8


def test_what_the_head_leaves_out_is_told_by_h_alone():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    h = torch.cat([torch.eye(3)[labels], torch.randn(60, 3, generator=generator)], dim=1)
    of_h, of_z = probes(
        Probed(h, torch.zeros(60, 3), labels), Probed(h, torch.zeros(60, 3), labels)
    )
    assert (of_h, of_z) == (1, pytest.approx(1 / 3))


def test_unknown_labels_are_not_read():
    x = torch.eye(4)[torch.tensor([0, 1, 0, 1, 2, 3])]
    known = Probed(x, x, torch.tensor([0, 1, 0, 1, -1, -1]))
    assert probes(known, known) == (1, 1)
    hidden = known._replace(labels=torch.tensor([0, -1, 0, -1, -1, -1]))
    assert all(math.isnan(value) for value in probes(hidden, known))
    assert all(
        math.isnan(value) for value in probes(known, known._replace(labels=-known.labels * 0 - 1))
    )


def test_hue_and_place_are_asked_where_the_data_know_them(tasks):
    metrics = evaluate(Parts(slice(0, 8)), tasks, seed=0)
    assert {*metrics, "final_loss"} == set(METRICS)
    assert all(0 <= value <= 1 for value in metrics.values())
    assert metrics["hue_h"] > metrics["hue_z"]  # g(h) has eight pixels, all at the top
    assert metrics["grey_h"] > 0.6
    fields = ("train_images", "train_labels", "test_images", "test_labels", "classes")
    images = ImageData("images", *(getattr(tasks, field) for field in fields))
    unknown = evaluate(Parts(slice(0, 8)), images, seed=0)
    nan = {name for name, value in unknown.items() if math.isnan(value)}
    assert nan == {"hue_h", "hue_z", "place_h", "place_z"}
    assert {name: unknown[name] for name in unknown.keys() - nan} == {
        name: metrics[name] for name in metrics.keys() - nan
    }


def test_a_run_keeps_a_model_of_equal_width(tasks):
    config = HeadForgetsConfig.parse(SMALL, "test")
    outcome = head_forgets.run(config, tasks, 0, FLOAT32, lambda step, loss: None)
    model = outcome.models["model"]
    assert model.head.out == model.encoder.features == 16
    assert math.isfinite(outcome.metrics["final_loss"])
