"""Targets of a transfer: their labels, their colours, and who learns from them."""

import math

import pytest
import torch
from small_runs import FLOAT32, SMALL
from tiny_data import tiny_images

from lelkern.data import DataConfig, visible_labels
from lelkern.evaluate import extract, linear_probe
from lelkern.methods.contrastive import transfer_simclr
from lelkern.methods.contrastive._novel_classes import split_classes
from lelkern.methods.contrastive.transfer_simclr import (
    METRICS,
    TransferConfig,
    few_labelled,
    repaint,
    repainted,
)


def config(**changes):
    return TransferConfig.parse(SMALL | {"steps": 2, "few": 3} | changes, "test")


@pytest.fixture(scope="module")
def some(data):
    """The first 300 training and 100 test images."""
    fields = vars(data) | {
        f"{split}_{field}": getattr(data, f"{split}_{field}")[:number]
        for split, number in (("train", 300), ("test", 100))
        for field in ("images", "labels")
    }
    return type(data)(**fields)


def rows_of(data):
    return zip(data.train_images, data.train_labels, strict=True)


def run(settings, data, report=lambda step, loss: None):
    transfer_simclr.check(settings, data)
    outcome = transfer_simclr.run(settings, data, 0, FLOAT32, report)
    transfer_simclr.METHOD.confirm(outcome)
    return outcome


def test_another_painting_has_all_channels_at_another_place_and_inverted(data):
    images = data.train_images[:2]
    red, green, blue = images.unbind(1)
    assert torch.equal(repainted(images), torch.stack([255 - green, 255 - blue, 255 - red], dim=1))
    twice = repaint(repaint(repaint(data)))
    assert torch.equal(255 - twice.test_images, data.test_images)
    assert torch.equal(twice.train_labels, data.train_labels)


def test_few_labels_are_as_many_of_each_class_and_drawn_by_the_seed(data):
    few = few_labelled(data, 3, seed=0)
    assert few.train_labels.bincount().tolist() == [3] * 10
    rows = {image.numpy().tobytes(): int(y) for image, y in rows_of(data)}
    for image, y in rows_of(few):
        assert rows[image.numpy().tobytes()] == int(y)
    assert not torch.equal(few.train_images, few_labelled(data, 3, seed=1).train_images)
    assert len(few_labelled(data, 10_000, seed=0).train_labels) == len(data.train_labels)


def test_one_encoder_of_the_base_classes_is_probed_on_every_target(some):
    outcome = run(settings := config(), some)
    base, novel = split_classes(settings, some, 0)
    model = outcome.models["model"]
    for name, target in {
        "other_classes": novel,
        "another_painting": repaint(base),
        "both_few": few_labelled(repaint(novel), 3, 0),
    }.items():
        train, test = (extract([model], x)[0] for x in (target.train_images, target.test_images))
        expected = linear_probe(train, target.train_labels, test, target.test_labels)
        assert outcome.metrics[name] == expected
    assert outcome.metrics["other_classes"] != outcome.metrics["both"]


def test_no_target_shows_more_labels_than_the_budget_and_few_are_the_same_in_other_colours(
    some, monkeypatch
):
    """Counts the distinct labelled images that probes see, of 10 classes with 4 labels each."""
    budget = DataConfig(labels_per_class=4)
    data = some.with_labels(visible_labels(some.train_labels, budget, seed=0))
    visible = {image.numpy().tobytes() for image, y in rows_of(data) if y >= 0}
    assert len(visible) == 40
    targets = []
    monkeypatch.setattr(transfer_simclr, "probe", lambda encoder, x: targets.append(x) or 0.5)
    run(config(pretrain="pixels"), data)
    seen = {}
    for name, target in zip(METRICS, targets, strict=True):
        images = target.train_images
        if not name.startswith("other_classes"):
            for _ in range(5):  # the sixth time gives the colours back
                images = repainted(images)
        seen[name] = {image.numpy().tobytes() for image in images}
        assert target.train_labels.bincount().tolist() == [3 if "few" in name else 4] * 5
    assert set().union(*seen.values()) == visible
    assert len(set().union(*(rows for name, rows in seen.items() if "few" in name))) == 30
    assert seen["other_classes_few"] == seen["both_few"]
    for name in ("other_classes", "another_painting", "both"):
        assert seen[f"{name}_few"] < seen[name]


@pytest.fixture
def learned_from(monkeypatch):
    """What each pre-training of a run learned from, in turn: (how, data)."""
    seen, pretrain = [], transfer_simclr.pretrain

    def see(how, config, data, *rest):
        seen.append((how, data))
        return pretrain(how, config, data, *rest)

    monkeypatch.setattr(transfer_simclr, "pretrain", see)
    return seen


def same_training(a, b):
    return torch.equal(a.train_images, b.train_images) and torch.equal(
        a.train_labels, b.train_labels
    )


@pytest.mark.parametrize("how", ["simclr", "supervised"])
def test_pre_training_sees_the_base_classes_alone(some, learned_from, how):
    run(settings := config(pretrain=how), some)
    ((learned, data),) = learned_from
    assert learned == how
    assert same_training(data, split_classes(settings, some, 0).base)


def test_from_scratch_every_target_is_learned_from_the_labels_that_its_probe_sees(
    some, learned_from
):
    run(settings := config(pretrain="scratch"), some)
    base, novel = split_classes(settings, some, 0)
    targets = [novel, repaint(base), repaint(novel)]
    targets += [few_labelled(target, 3, 0) for target in targets]
    assert {how for how, _ in learned_from} == {"supervised"}
    for (_, data), target in zip(learned_from, targets, strict=True):
        assert same_training(data, target)


@pytest.mark.parametrize("length", [{"steps": 2}, {"epochs": 0.4}])
def test_from_scratch_every_target_has_as_many_steps_as_pre_training(some, length):
    pretrained, scratch = [], []
    run(config(**length), some, lambda step, loss: pretrained.append(step))
    run(config(pretrain="scratch", **length), some, lambda step, loss: scratch.append(step))
    assert len(pretrained) == 2  # of 32 images; there are about 150 of base classes
    assert scratch == list(range(1, 2 * len(METRICS) + 1))


def test_pixels_are_probed_as_they_are(some):
    report = lambda step, loss: pytest.fail("a step was taken")  # noqa: E731
    outcome = run(settings := config(pretrain="pixels"), some, report)
    target = repaint(split_classes(settings, some, 0).novel)
    train, test = (x.flatten(1) / 255 for x in (target.train_images, target.test_images))
    expected = linear_probe(train, target.train_labels, test, target.test_labels)
    assert outcome.metrics["both"] == expected
    assert not outcome.models["model"].state_dict()


@pytest.mark.parametrize("how", ["simclr", "scratch"])
def test_a_single_base_class_cannot_be_told_from_itself(how):
    metrics = run(config(pretrain=how, batch_size=8), tiny_images()).metrics
    nan = {name for name, value in metrics.items() if math.isnan(value)}
    assert nan == {"another_painting", "another_painting_few"}
