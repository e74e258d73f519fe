"""Episodes and novel classes: what is shown, what is asked, and what nobody may see."""

from dataclasses import replace

import pytest
import torch
from small_runs import FLOAT32, SMALL, same
from tiny_data import hidden, tiny_images
from torch import nn

from lelkern.methods.contrastive import _novel_classes, few_shot_simclr
from lelkern.methods.contrastive._novel_classes import split_classes
from lelkern.methods.contrastive.few_shot_simclr import (
    FewShotConfig,
    check,
    draw_episodes,
    evaluate,
    prototype_accuracy,
)

TINY = SMALL | {"batch_size": 8, "steps": 2, "queries": 4, "episodes": 5}


def config(**changes):
    return FewShotConfig.parse(TINY | changes, "test")


def test_episodes_are_balanced_and_never_ask_what_they_showed():
    labels = torch.arange(60) % 3
    episodes = list(draw_episodes(config(queries=7), labels, seed=0))
    assert len(episodes) == 5
    for episode in episodes:
        assert episode.support.shape == (3, 5)
        assert episode.queries.shape == (3, 7)
        for c in range(3):
            drawn = torch.cat([episode.support[c], episode.queries[c]])
            assert len(drawn.unique()) == 12
            assert (labels[drawn] == c).all()
    again, other = (list(draw_episodes(config(queries=7), labels, seed)) for seed in (0, 1))
    assert all(torch.equal(a.queries, b.queries) for a, b in zip(episodes, again, strict=True))
    assert not torch.equal(episodes[0].queries, other[0].queries)
    assert not torch.equal(episodes[0].queries, episodes[1].queries)


def test_the_nearest_prototype_by_hand():
    support = torch.tensor([[[0.0, 0], [2, 0]], [[4.0, 0], [4, 2]]])  # means (1, 0) and (4, 1)
    queries = torch.tensor([[[0.0, 3], [3, 0]], [[9.0, 9], [2, 0]]])
    assert prototype_accuracy(support, queries) == 0.5
    assert prototype_accuracy(support, queries[:, :1]) == 1


class Code(nn.Module):
    """An encoder that returns a constant, or the brightest channel, and so the class."""

    def __init__(self, perfect):
        super().__init__()
        self.perfect = perfect

    def forward(self, x):
        brightest = x.mean(dim=(2, 3)).argmax(dim=1)
        return torch.eye(3)[brightest] if self.perfect else torch.ones(len(x), 4)


@pytest.mark.parametrize(("perfect", "accuracy"), [(True, 1.0), (False, 1 / 3)])
def test_a_perfect_representation_is_always_right_and_a_constant_one_by_chance(perfect, accuracy):
    data = tiny_images()
    coloured = torch.zeros_like(data.test_images)
    coloured[torch.arange(len(coloured)), data.test_labels] = 255
    metrics = evaluate(config(), Code(perfect), replace(data, test_images=coloured), seed=0)
    assert metrics == pytest.approx({"accuracy_1": accuracy, "accuracy_5": accuracy})


class Bright(nn.Module):
    """An encoder whose representations point into directions of their class, with any length."""

    def forward(self, x):
        length = x.amax(dim=(1, 2, 3))[:, None] ** 8
        return length * torch.eye(3)[x.mean(dim=(2, 3)).argmax(dim=1)]


def test_the_length_of_a_representation_does_not_matter():
    data = tiny_images()
    coloured = torch.zeros_like(data.test_images)
    brightness = torch.arange(len(coloured), dtype=torch.uint8)[:, None, None] % 200 + 50
    coloured[torch.arange(len(coloured)), data.test_labels] = brightness
    data = replace(data, test_images=coloured)
    assert evaluate(config(), Bright(), data, seed=0) == {"accuracy_1": 1, "accuracy_5": 1}


def test_classes_are_divided_by_the_seed(data):
    drawn = set()
    for seed in range(5):
        base, novel = split_classes(config(novel=0.3), data, seed)
        assert (len(base.classes), len(novel.classes)) == (7, 3)
        assert not set(base.classes) & set(novel.classes)
        drawn.add(novel.classes)
        for part in (base, novel):
            for split in ("train", "test"):
                names = [part.classes[y] for y in getattr(part, f"{split}_labels")]
                every = [data.classes[y] for y in getattr(data, f"{split}_labels")]
                kept = torch.tensor([name in part.classes for name in every])
                assert names == [name for name in every if name in part.classes]
                images = getattr(data, f"{split}_images")[kept]
                assert torch.equal(getattr(part, f"{split}_images"), images)
        again = split_classes(config(novel=0.3), data, seed).novel
        assert again.classes == novel.classes
    assert len(drawn) > 1


@pytest.mark.parametrize("how", ["simclr", "supervised"])
def test_pre_training_sees_neither_novel_images_nor_hidden_labels(monkeypatch, how):
    seen = []

    def simclr(config, images, *rest):
        seen.append(images)
        return train_simclr(config, images, *rest)

    def supervised(config, data, *rest):
        seen.append(data.train_images)
        assert data.unlabeled_images is None
        return train_supervised(config, data, *rest)

    train_simclr, train_supervised = _novel_classes.train_simclr, _novel_classes.train_supervised
    monkeypatch.setattr(_novel_classes, "train_simclr", simclr)
    monkeypatch.setattr(_novel_classes, "train_supervised", supervised)
    data = hidden(of_four_classes(tiny_images(train=90)), 0.8)
    settings = config(pretrain=how)
    _, novel = split_classes(settings, data, seed=0)
    few_shot_simclr.run(settings, data, 0, FLOAT32, lambda step, loss: None)
    (images,) = seen
    of_novel = {data.classes.index(name) for name in novel.classes}
    known = [int(y) >= 0 and int(y) not in of_novel for y in data.train_labels]
    assert sum(known) == 36  # of 72 whose label is visible
    assert torch.equal(images, data.train_images[torch.tensor(known)])


def of_four_classes(data):
    return replace(
        data,
        classes=("a", "b", "c", "d"),
        train_labels=torch.arange(len(data.train_labels)) % 4,
        test_labels=torch.arange(len(data.test_labels)) % 4,
    )


def test_pixels_and_no_steps_train_nothing(data):
    report = lambda step, loss: pytest.fail("a step was taken")  # noqa: E731
    pixels = few_shot_simclr.run(config(pretrain="pixels"), data, 0, FLOAT32, report)
    assert not pixels.models["model"].state_dict()
    random = [
        few_shot_simclr.run(config(pretrain=how, steps=0), data, 0, FLOAT32, report).models["model"]
        for how in ("simclr", "supervised")
    ]
    assert same(random[0].state_dict(), random[1].state_dict())  # all arms start from one network


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"novel": 0.99}, "novel must leave at least 1 of 3 classes, got 0.99"),
        ({"pretrain": "supervised"}, "novel must leave at least 2 of 3 classes, got 0.5"),
        ({"queries": 16}, "test images of every class must be at least 21, got 20 of 'a'"),
        ({"batch_size": 11}, "batch_size must be at most .* 1 classes, which may be 10, got 11"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    check(config(), tiny_images())
    with pytest.raises(ValueError, match=message):
        check(config(**changes), tiny_images())
