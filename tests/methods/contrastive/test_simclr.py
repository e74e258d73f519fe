import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from small_runs import FLOAT32, SMALL, same

from lelkern.augment import Augment
from lelkern.config import ConfigError
from lelkern.methods import get
from lelkern.methods.contrastive._projector import Projector
from lelkern.methods.contrastive.simclr import (
    BatchNormConfig,
    SimCLRConfig,
    project,
    train,
)
from lelkern.runtime import RuntimeConfig


def small(**changes):
    return SimCLRConfig.parse(SMALL | changes, "test")


def digest(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def equation_1(z, temperature, normalize=True):
    """NT-Xent of 2N rows, of which row i and row i + N are views of one image."""
    z = F.normalize(z, dim=1) if normalize else z
    similarities = z @ z.T / temperature
    similarities = similarities.masked_fill(torch.eye(len(z), dtype=torch.bool), -math.inf)
    return F.cross_entropy(similarities, torch.arange(len(z)).roll(len(z) // 2))


def by_hand(config, images, seed):
    """Algorithm 1 in plain PyTorch, from the same random numbers; the losses of one epoch."""
    torch.manual_seed(seed)
    model = Projector(config, FLOAT32).to(memory_format=torch.channels_last)
    augment = Augment(config.augment, images.shape[-1])
    sgd = torch.optim.SGD(model.parameters(), config.optimizer.lr, momentum=0.9, nesterov=True)
    epoch = torch.randperm(len(images)).split(config.batch_size)
    losses = []
    for step in range(config.steps):
        x = images[epoch[len(images) // config.batch_size - 1 - step]].float() / 255
        if config.augmented == "both":
            views = augment(torch.cat([x, x]))
        else:
            views = torch.cat([augment(x), x])
        loss = equation_1(model(views), config.temperature, config.normalize)
        losses.append(loss.item())
        sgd.param_groups[0]["lr"] = config.optimizer.lr * (
            (1 + math.cos(math.pi * step / config.steps)) / 2
        )
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    return losses


@pytest.mark.parametrize(
    "changes",
    [
        {"head": {"kind": "none"}},
        {"head": {"kind": "linear", "out": 8}},
        {"head": {"kind": "nonlinear", "width": 16, "out": 8}},
        {"normalize": False, "temperature": 10.0},
        {"augmented": "one"},
    ],
    ids=lambda changes: str(next(iter(changes.values()))),
)
def test_it_is_algorithm_1(data, changes):
    sgd = {"name": "sgd", "lr": 0.1, "weight_decay": 0.0, "warmup": 0.0}
    config = small(optimizer=sgd, **changes)
    losses = []
    train(config, data.train_images, 3, FLOAT32, lambda step, loss: losses.append(loss))
    # float32 with sums in another order: each of 6 steps passes on a few units in the last place,
    # which BatchNorm and the temperature magnify.
    assert losses == pytest.approx(by_hand(config, data.train_images, 3), rel=1e-4, abs=1e-6)


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
    monkeypatch.setattr(Augment, "forward", lambda self, images: seen.append(images) or images)
    images = data.train_images[:96]
    train(small(steps=3), images, seed=0)
    batches = [batch[:32] for batch in seen]
    assert all(torch.equal(batch[:32], batch[32:]) for batch in seen)  # both views of each image
    rows = {image.numpy().tobytes() for batch in batches for image in batch}
    assert rows == {image.numpy().tobytes() for image in images.float() / 255}


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


# --- parts of a batch -------------------------------------------------------------------------


class Parts(torch.nn.Module):
    """Subtracts from every row the mean of its part, as BatchNorm would."""

    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def forward(self, rows):
        return torch.cat([part - part.mean(dim=0) for part in rows.chunk(self.parts)])


def test_both_views_of_an_image_are_in_one_part():
    views = torch.arange(16.0)[:, None] ** 2  # rows i and i + 8 are views of image i
    z = project(Parts(4), views, BatchNormConfig(parts=4, views="together"))
    for images in torch.arange(8).split(2):
        part = torch.cat([views[images], views[images + 8]])
        expected = part - part.mean(dim=0)
        torch.testing.assert_close(torch.cat([z[images], z[images + 8]]), expected)


def test_shuffled_parts_are_drawn_anew_and_rows_stay_in_place():
    views = torch.arange(64.0)[:, None]
    shuffled = BatchNormConfig(parts=32, views="shuffled")
    rows = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        rows.append(project(Parts(32), views, shuffled))
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])
    assert torch.equal(project(torch.nn.Identity(), views, shuffled), views)
    # Of two rows each, so that both become half of their difference: for 32 pairs drawn by lot
    # the one of views i and i + 32, a difference of 32, is drawn half a time on average.
    torch.testing.assert_close(rows[0].sum(), torch.tensor(0.0))
    assert (rows[0].abs() == 16).sum() <= 8


def test_parts_change_the_training_and_one_part_does_not(data):
    def weights(**batch_norm):
        config = small(batch_norm=batch_norm, steps=2)
        return digest(train(config, data.train_images, 0, FLOAT32).encoder)

    whole = weights(parts=1)
    assert same(whole, weights())
    together, shuffled = (weights(parts=8, views=views) for views in ("together", "shuffled"))
    assert not same(whole, together)
    assert not same(together, shuffled)


def test_settings_that_mean_the_same_are_equal():
    assert small(batch_norm={"parts": 1, "views": "shuffled"}) == small()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_norm": {"parts": 5}}, "batch_norm.parts must divide the 32 images .* got 5"),
        ({"batch_norm": {"parts": 64}}, "batch_norm.parts must divide the 32 images .* got 64"),
        (
            {"batch_norm": {"parts": 64, "views": "shuffled"}},
            "batch_norm.parts must divide the 64 views .* at least 2 views, got 64",
        ),
    ],
)
def test_parts_have_to_be_equal(changes, message):
    with pytest.raises(ConfigError, match=message):
        small(**changes)


# --- epochs and learning rates ----------------------------------------------------------------


@pytest.mark.parametrize("method", ["simclr", "moco", "supervised-encoder"])
def test_epochs_are_passes_through_the_images(data, method):
    fields = {f"train_{name}": getattr(data, f"train_{name}")[:96] for name in ("images", "labels")}
    some = replace(data, **fields)
    recipe, losses = get(method), []
    keys = SMALL.keys() & recipe.config.model_fields.keys()
    settings = {key: SMALL[key] for key in keys} | {"epochs": 1.5}
    config = recipe.config.parse(settings, "test")
    recipe.run(config, some, 0, FLOAT32, lambda step, loss: losses.append(loss))
    assert len(losses) == round(1.5 * 96 / 32)


def test_how_many_steps_epochs_are():
    assert small(epochs=1.4, steps=3).steps_on(96) == 4
    assert small(epochs=0.001, steps=3).steps_on(96) == 1
    assert small(epochs=0, steps=3).steps_on(1000) == 0
    assert small(epochs=2, steps=0).steps_on(1000) == 0  # a random encoder stays one


@pytest.mark.parametrize("method", ["simclr", "moco", "supervised-encoder"])
def test_the_optimiser_has_the_scaled_learning_rate(data, method, monkeypatch):
    rates = []

    class Seen(torch.optim.SGD):
        def __init__(self, parameters, lr, **options):
            rates.append(lr)
            super().__init__(parameters, lr, **options)

    monkeypatch.setattr(torch.optim, "SGD", Seen)
    recipe = get(method)
    keys = SMALL.keys() & recipe.config.model_fields.keys()
    settings = {key: SMALL[key] for key in keys}
    settings |= {"lr_scaling": "root", "steps": 1, "optimizer": {"name": "sgd", "lr": 0.5}}
    config = recipe.config.parse(settings | {"batch_size": 16}, "test")
    recipe.run(config, data, 0, FLOAT32, lambda step, loss: None)
    assert rates == [0.25]


@pytest.mark.parametrize(
    ("scaling", "factors"), [("none", (1, 1)), ("root", (0.5, 2)), ("linear", (0.25, 4))]
)
def test_the_learning_rate_grows_with_the_batch(scaling, factors):
    for batch_size, factor in zip((16, 256), factors, strict=True):
        config = small(lr_scaling=scaling, batch_size=batch_size)
        assert config.scaled_optimizer().lr == pytest.approx(factor * config.optimizer.lr)
        assert config.scaled_optimizer().name == config.optimizer.name


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(31, 3, 24, 24, dtype=torch.uint8), "batch_size must be .* 31, got 32"),
        (torch.zeros(32, 3, 24, 20, dtype=torch.uint8), "images must be square, got 24x20"),
        (torch.zeros(32, 3, 24, 24), r"images must be uint8 \(N, 3, H, W\), got torch.float32"),
    ],
)
def test_refuses_images_it_cannot_use(images, message):
    with pytest.raises(ValueError, match=message):
        train(small(), images, seed=0)
