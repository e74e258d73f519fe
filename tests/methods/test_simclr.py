import hashlib
from dataclasses import replace

import pytest
import torch
from small_runs import FLOAT32, SMALL, same

from lelkern.ablation._methods import METHODS
from lelkern.methods import simclr
from lelkern.methods.evaluation import evaluate_contrastive
from lelkern.methods.simclr import SimCLRConfig, train
from lelkern.runtime import RuntimeConfig


def small(**changes):
    return SimCLRConfig.parse(SMALL | changes, "test")


def digest(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def test_the_seed_decides_everything_and_the_callers_generator_nothing(data):
    torch.manual_seed(1)
    one = train(small(), data.train_images, seed=0, runtime=FLOAT32)
    torch.manual_seed(2)
    expected = torch.rand(1)
    torch.manual_seed(2)
    two = train(small(), data.train_images, seed=0, runtime=FLOAT32)
    assert torch.equal(torch.rand(1), expected)
    other = train(small(), data.train_images, seed=1, runtime=FLOAT32)
    assert same(digest(one), digest(two))
    assert not same(digest(one), digest(other))


def test_arms_with_the_same_seed_start_from_the_same_encoder(data):
    cold = train(small(steps=0, temperature=0.01), data.train_images, seed=0)
    warm = train(small(steps=0, temperature=1.0), data.train_images, seed=0)
    assert same(digest(cold.encoder), digest(warm.encoder))


def test_training_lowers_the_loss(data):
    losses = []
    train(
        small(steps=40, augment=["flip"]),  # views that are alike: a task learned at once
        data.train_images,
        seed=0,
        runtime=FLOAT32,
        progress=lambda step, loss: losses.append((step, loss)),
    )
    assert [step for step, _ in losses] == list(range(1, 41))
    first, last = (sum(loss for _, loss in part) / 10 for part in (losses[:10], losses[-10:]))
    assert last < first - 0.5


def test_every_image_is_seen_once_an_epoch(data, monkeypatch):
    seen = []
    monkeypatch.setattr(
        simclr.SimCLR, "view", lambda self, images: seen.append(images) or images.float() / 255
    )
    images = data.train_images[:96]
    train(small(steps=3), images, seed=0)
    batches = [batch[:32] for batch in seen]
    assert all(torch.equal(batch[:32], batch[32:]) for batch in seen)  # both views of each image
    rows = {hashlib.sha256(image.numpy().tobytes()).digest() for b in batches for image in b}
    assert len(rows) == len({hashlib.sha256(i.numpy().tobytes()).digest() for i in images})


@pytest.mark.parametrize("kind", ["none", "linear", "nonlinear"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_heads_and_precisions_train_every_parameter(data, kind, precision):
    runtime = RuntimeConfig(device="cpu", precision=precision)
    config = small(head={"kind": kind, "width": 16, "out": 8})
    start = train(config.model_copy(update={"steps": 0}), data.train_images, 0, runtime)
    end = train(config, data.train_images, 0, runtime)
    before = dict(start.named_parameters())
    for name, parameter in end.named_parameters():
        assert parameter.dtype == torch.float32
        assert not torch.equal(parameter, before[name]), name


def test_the_projection_is_computed_in_float32_under_autocast(data):
    runtime = RuntimeConfig(device="cpu", precision="bfloat16")
    model = train(small(steps=0), data.train_images, 0, runtime)
    assert model(torch.rand(2, 3, 24, 24)).dtype == torch.float32


def test_evaluation_leaves_the_model_as_it_is_and_gives_every_metric(data):
    model = train(small(), data.train_images, seed=0, runtime=FLOAT32)
    before, modes = digest(model), [module.training for module in model.modules()]
    metrics = evaluate_contrastive(model.encoder, model.head, model.view, 0.2, data, seed=0)
    again = evaluate_contrastive(model.encoder, model.head, model.view, 0.2, data, seed=0)
    assert same(digest(model), before)
    assert [module.training for module in model.modules()] == modes
    assert metrics == again
    for name in ("linear_probe", "linear_probe_projection", "knn", "knn_projection"):
        assert 0.1 < metrics[name] <= 1
    assert metrics["parameters"] == sum(p.numel() for p in model.encoder.parameters())


def test_runs_through_the_registry(data):
    method = METHODS["simclr"]
    method.check(small(), data)
    metrics = method.run(small(), data, 0, FLOAT32, lambda step, loss: None)
    untrained = method.run(method.untrained(small()), data, 0, FLOAT32, lambda step, loss: None)
    assert "final_loss" in metrics
    assert "final_loss" not in untrained


def test_one_test_image_a_class_has_no_tolerance(data):
    first = torch.stack([(data.test_labels == c).nonzero()[0, 0] for c in range(10)])
    few = replace(data, test_images=data.test_images[first], test_labels=data.test_labels[first])
    metrics = METHODS["simclr"].run(small(steps=0), few, 0, FLOAT32, lambda step, loss: None)
    assert "tolerance" not in metrics
    assert "uniformity" in metrics


def test_raw_pixels_are_about_as_hard_as_they_should_be(data):
    method = METHODS["raw-pixels"]
    metrics = method.run(method.config(), data, 0, FLOAT32, lambda step, loss: None)
    # Colour hides the digit from pixels without hiding it altogether.
    assert 0.6 < metrics["linear_probe"] < 0.85


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(31, 3, 24, 24, dtype=torch.uint8), "batch_size must be .* 31, got 32"),
        (torch.zeros(32, 3, 24, 20, dtype=torch.uint8), "images must be square, got 24x20"),
    ],
)
def test_refuses_images_it_cannot_use(images, message):
    with pytest.raises(ValueError, match=message):
        train(small(), images, seed=0)
