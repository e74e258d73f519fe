import math
from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from small_runs import FLOAT32, SMALL, same

from lelkern.data import DataConfig, visible_labels
from lelkern.evaluate import contrastive_statistics, extract, knn, linear_probe
from lelkern.methods import get
from lelkern.methods.contrastive import _evaluation, raw_pixels
from lelkern.methods.contrastive._evaluation import METRICS, evaluate
from lelkern.methods.contrastive.simclr import SimCLRConfig, train


@pytest.fixture
def some(data):
    """A part of the data: classifiers of all images at full size take seconds each."""
    return first(data, 300, 100)


def first(data, train, test):
    """The first training and test images, in which the classes come in no order."""
    return replace(
        data,
        train_images=data.train_images[:train],
        train_labels=data.train_labels[:train],
        test_images=data.test_images[:test],
        test_labels=data.test_labels[:test],
    )


def small(**changes):
    return SimCLRConfig.parse(SMALL | changes, "test")


def run(name, config, data):
    method = get(name)
    method.check(config, data)
    return method.run(config, data, 0, FLOAT32, lambda step, loss: None).metrics


def test_it_leaves_the_model_as_it_is_and_gives_every_metric(data):
    config = small()
    model = train(config, data.train_images, seed=0, runtime=FLOAT32)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    arguments = (model.encoder, model.head, config.augment, 0.2, data)
    metrics = evaluate(*arguments, seed=0)
    assert same(model.state_dict(), before)
    assert [module.training for module in model.modules()] == modes
    assert {*metrics, "final_loss"} == set(METRICS)
    assert metrics == evaluate(*arguments, seed=0)
    other = evaluate(*arguments, seed=1)
    changed = {name for name in metrics if metrics[name] != other[name]}
    views = {"alignment", "contrastive_entropy"}
    assert views <= changed <= {*views, "contrastive_accuracy"}
    for name in ("linear_probe", "linear_probe_projection", "knn", "knn_projection"):
        assert 0.1 < metrics[name] <= 1
    assert metrics["parameters"] == sum(p.numel() for p in model.encoder.parameters())


def test_no_steps_leave_a_random_encoder_and_no_loss(some):
    metrics = run("simclr", small(steps=0), some)
    assert math.isnan(metrics["final_loss"])
    assert metrics["parameters"] == run("simclr", small(), some)["parameters"]


def test_one_test_image_a_class_has_no_tolerance(data):
    first = torch.stack([(data.test_labels == c).nonzero()[0, 0] for c in range(10)])
    few = replace(data, test_images=data.test_images[first], test_labels=data.test_labels[first])
    metrics = run("simclr", small(steps=0), few)
    assert math.isnan(metrics["tolerance"])
    assert math.isfinite(metrics["uniformity"])


def test_raw_pixels_are_classified_as_they_are(some):
    """How hard those of all images are, the tests of the data see."""
    some = some.resized(12)
    train_x, test_x = (x.flatten(1) / 255 for x in (some.train_images, some.test_images))
    arguments = (train_x, some.train_labels, test_x, some.test_labels)
    metrics = run("raw-pixels", raw_pixels.RawPixelsConfig(), some)
    assert metrics == {"linear_probe": linear_probe(*arguments), "knn": knn(*arguments)}
    # Colour hides the digit from pixels without hiding it altogether.
    assert 0.2 < metrics["linear_probe"] < 0.85


def test_raw_pixels_of_large_images_are_those_of_small_ones(data):
    few = first(data, 60, 60).resized(12)
    config = raw_pixels.RawPixelsConfig(side=8)
    as_small_ones = run("raw-pixels", config, few)
    assert as_small_ones == run("raw-pixels", config, few.resized(8))
    assert as_small_ones != run("raw-pixels", raw_pixels.RawPixelsConfig(), few)


def test_raw_pixels_tell_how_far_they_are_and_have_no_loss(data):
    if not hasattr(LogisticRegression, "set_callbacks"):
        pytest.skip("this scikit-learn does not tell")
    reports = []
    config = raw_pixels.RawPixelsConfig(side=4)
    get("raw-pixels").run(config, data, 0, FLOAT32, lambda *report: reports.append(report))
    assert len(reports) > 1
    assert reports == [(step, None) for step in range(1, len(reports) + 1)]


@pytest.mark.parametrize("name", ["raw-pixels", "simclr"])
def test_a_label_budget_is_for_classifiers_alone(some, name):
    """They learn from the visible labels; the images and what is measured on them stay."""
    labels = visible_labels(some.train_labels, DataConfig(labels_per_class=2), seed=0)
    few = some.with_labels(labels)
    seen = replace(
        some, train_images=some.train_images[labels >= 0], train_labels=labels[labels >= 0]
    )
    # A random encoder, so that it is the same for any number of training images.
    pixels = raw_pixels.RawPixelsConfig(side=8)
    config = small(steps=0, batch_size=2) if name == "simclr" else pixels
    budgeted, whole = run(name, config, few), run(name, config, some)
    assert budgeted == pytest.approx(run(name, config, seen), rel=0, abs=0, nan_ok=True)
    assert budgeted["linear_probe"] < whole["linear_probe"]
    for metric in budgeted.keys() & {"alignment", "uniformity", "tolerance"}:
        assert budgeted[metric] == whole[metric]


def test_contrastive_metrics_follow_the_settings_of_the_loss(some, monkeypatch):
    """Of the study's two branches, and of dot products where the loss compares those."""
    seen = []

    def statistics(z1, z2, temperature, *, normalize):
        seen.append((z1, z2, temperature, normalize))
        return contrastive_statistics(z1, z2, temperature, normalize=normalize)

    monkeypatch.setattr(_evaluation, "contrastive_statistics", statistics)
    settings = {
        "augment": ["rotation"], "augmented": "one", "normalize": False, "temperature": 7.0
    }  # fmt: skip
    outcome = get("simclr").run(small(**settings, steps=0), some, 0, FLOAT32, lambda *_: None)
    (z1, z2, temperature, normalize) = seen[0]
    model = outcome.models["model"]
    (h,) = extract([model], some.test_images)
    torch.testing.assert_close(z2, h)  # the second view is the image itself
    assert not torch.equal(z1, z2)
    assert (temperature, normalize) == (7.0, False)
