from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from small_runs import FLOAT32, SMALL, same

from lelkern.evaluate import extract, knn, linear_probe
from lelkern.evaluate.features import to_unit
from lelkern.methods import get
from lelkern.methods.contrastive import simclr
from lelkern.methods.contrastive.supervised_encoder import SupervisedEncoderConfig, train

KEYS = SupervisedEncoderConfig.model_fields.keys()


def small(**changes):
    settings = {key: value for key, value in SMALL.items() if key in KEYS}
    return SupervisedEncoderConfig.parse(settings | changes, "test")


def test_it_starts_from_the_same_encoder_as_simclr(data):
    own = train(small(steps=0), data, 3)
    config = simclr.SimCLRConfig.parse(SMALL | {"steps": 0}, "test")
    other = simclr.train(config, data.train_images, 3)
    assert same(own.encoder.state_dict(), other.encoder.state_dict())


def test_it_minimises_the_cross_entropy_of_the_visible_labels(data):
    """Images without augmentation: losses are those of the network on the images themselves."""
    few = replace(data, train_labels=data.train_labels.where(torch.arange(1297) < 40, -1))
    losses = []
    rate = {"lr": 0.01}
    config = small(augment=[], steps=80, batch_size=40, optimizer=rate)
    start = train(small(steps=0), few, 0, FLOAT32)
    model = train(config, few, 0, FLOAT32, lambda step, loss: losses.append(loss))
    images, labels = to_unit(few.train_images[:40]), few.train_labels[:40]
    first = F.cross_entropy(start.train()(images), labels)
    # A batch has all 40 images in another order, which BatchNorm's sums notice in float32.
    assert losses[0] == pytest.approx(first.item(), rel=1e-5)
    assert losses[-1] < losses[0] / 4
    assert (model.eval()(images).argmax(dim=1) == labels).float().mean() > 0.9


def test_its_metrics_are_those_of_its_encoder(data):
    few = replace(data, test_images=data.test_images[:50], test_labels=data.test_labels[:50])
    few = replace(few, train_labels=data.train_labels.where(torch.arange(1297) < 40, -1))
    outcome = get("supervised-encoder").run(small(steps=30), few, 0, FLOAT32, lambda *_: None)
    model = outcome.models["model"]
    with torch.no_grad():
        right = model.eval()(to_unit(few.test_images)).argmax(dim=1) == few.test_labels
    assert outcome.metrics["accuracy"] == pytest.approx(float(right.float().mean()))
    assert outcome.metrics["parameters"] == sum(p.numel() for p in model.encoder.parameters())

    images, labels = few.train_images[:40], few.train_labels[:40]  # those that have a label
    train, test = (extract([model.encoder], x)[0] for x in (images, few.test_images))
    assert outcome.metrics["linear_probe"] == linear_probe(train, labels, test, few.test_labels)
    assert outcome.metrics["knn"] == knn(train, labels, test, few.test_labels)
