from copy import deepcopy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from small_runs import FLOAT32, SMALL, same

from lelkern.augment import Augment
from lelkern.config import ConfigError
from lelkern.methods.contrastive import moco, simclr
from lelkern.methods.contrastive._evaluation import evaluate
from lelkern.methods.contrastive.moco import MoCoConfig, shuffled_keys, train
from lelkern.models import SplitBatchNorm
from lelkern.nn import ModelEMA
from lelkern.runtime import RuntimeConfig


def small(**changes):
    return MoCoConfig.parse(SMALL | {"queue_size": 50, "momentum": 0.9} | changes, "test")


@pytest.fixture
def views(data):
    """32 images, float."""
    return data.train_images[:32].float() / 255


def model_of(config, seed=0):
    torch.manual_seed(seed)
    return moco.MoCo(config, config.steps, FLOAT32)


# --- the algorithm --------------------------------------------------------------------------


def equation_1(q, k, negatives, temperature):
    q, k, negatives = (F.normalize(x, dim=1) for x in (q, k, negatives))
    logits = torch.cat([(q * k).sum(dim=1, keepdim=True), q @ negatives.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.int64))


def momentum_of(config, step):
    if config.momentum_schedule == "constant":
        return config.momentum
    cosine = torch.cos(torch.tensor(torch.pi * step / config.steps, dtype=torch.float64))
    return float(1 - (1 - config.momentum) * (cosine + 1) / 2)


def by_hand(config, images, seed):
    """Algorithm 1 in plain PyTorch, with a list for a queue, from the same random numbers."""
    torch.manual_seed(seed)
    query = moco.MoCo(config, config.steps, FLOAT32).query.to(memory_format=torch.channels_last)
    key = deepcopy(query)
    augment = Augment(config.augment, images.shape[-1])
    sgd = torch.optim.SGD(query.parameters(), config.optimizer.lr, momentum=0.9, nesterov=True)
    order, queue, losses = torch.randperm(len(images)), [], []
    epoch = list(order.split(config.batch_size))
    for step in range(config.steps):
        x = images[epoch[len(images) // config.batch_size - 1 - step]].float() / 255
        x1, x2 = augment(torch.cat([x, x])).split(config.batch_size)
        directions = [(x1, x2)] + [(x2, x1)] * config.symmetric
        keys = []
        for _, other in directions:
            shuffle = torch.randperm(len(other))
            shuffled = key(other[shuffle]).detach()
            keys.append(torch.empty_like(shuffled))
            keys[-1][shuffle] = shuffled
        before = torch.stack(queue[-config.queue_size :]) if queue else keys[0][:0]
        loss = 0.0
        for (view, _), k in zip(directions, keys, strict=True):
            loss = loss + equation_1(query(view), k, before, config.temperature) / len(directions)
        losses.append(loss.item())
        rate = (1 + torch.cos(torch.tensor(torch.pi * step / config.steps)).item()) / 2
        sgd.param_groups[0]["lr"] = config.optimizer.lr * rate
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        m = momentum_of(config, step)
        with torch.no_grad():
            for average, parameter in zip(key.parameters(), query.parameters(), strict=True):
                average.copy_(m * average + (1 - m) * parameter)
        queue += torch.cat(keys).unbind()
    return losses


@pytest.mark.parametrize(
    ("symmetric", "schedule", "kind", "splits"),
    [
        (False, "constant", "nonlinear", 4),
        (True, "constant", "none", 2),
        (False, "cosine", "linear", 1),
        (True, "cosine", "nonlinear", 8),
    ],
)
def test_it_is_algorithm_1(data, symmetric, schedule, kind, splits):
    config = small(
        symmetric=symmetric,
        momentum_schedule=schedule,
        bn_splits=splits,
        head={"kind": kind, "width": 16, "out": 8},
        optimizer={"name": "sgd", "lr": 0.1, "weight_decay": 0.0, "warmup": 0.0},
    )
    losses = []
    train(config, data.train_images, 3, FLOAT32, lambda step, loss: losses.append(loss))
    # float32 with sums in another order: each of 6 steps passes on a few units in the last place,
    # which BatchNorm and the temperature, 0.2, magnify.
    assert losses == pytest.approx(by_hand(config, data.train_images, 3), rel=1e-4, abs=1e-6)


# --- the key encoder ------------------------------------------------------------------------


def test_keys_begin_with_a_copy_of_the_query_encoder():
    model = model_of(small())
    assert same(model.key.module.state_dict(), model.query.state_dict())
    memory = {p.data_ptr() for p in model.parameters()}
    assert len(memory) == len(list(model.parameters()))


def test_arms_with_the_same_seed_start_from_the_same_encoder_as_simclr(data):
    config = small(steps=0, momentum=0.5, bn_splits=2)
    here = train(config, data.train_images, 0, FLOAT32)
    there = simclr.train(
        simclr.SimCLRConfig.parse({k: SMALL[k] for k in ("encoder", "head")} | {"steps": 0}, "t"),
        data.train_images,
        0,
        FLOAT32,
    )
    assert same(here.encoder.state_dict(), there.encoder.state_dict())
    assert same(here.head.state_dict(), there.head.state_dict())


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("symmetric", [False, True])
def test_keys_are_the_moving_average_of_the_query_encoder(data, monkeypatch, momentum, symmetric):
    """After every step exactly m theta_k + (1 - m) theta_q, in float64 by hand."""
    averages, start, queries = [], [], []
    update = ModelEMA.update

    def watched(self, model):
        if not start:
            start.extend(p.detach().double() for p in deepcopy(self).parameters())
        queries.append([p.detach().clone() for p in model.parameters()])
        update(self, model)
        averages.append([p.detach().clone() for p in self.parameters()])

    monkeypatch.setattr(ModelEMA, "update", watched)
    train(small(momentum=momentum, symmetric=symmetric), data.train_images, 0, FLOAT32)
    assert len(queries) == 6
    expected = start
    for query, average in zip(queries, averages, strict=True):
        expected = [
            momentum * k + (1 - momentum) * q.double() for k, q in zip(expected, query, strict=True)
        ]
        for have, want in zip(average, expected, strict=True):
            # Each of 6 steps rounds to float32 once, and forgets none of it if m = 1.
            torch.testing.assert_close(have.double(), want, rtol=1e-6, atol=1e-7)
    if momentum == 0:
        assert all(torch.equal(a, q) for a, q in zip(averages[-1], queries[-1], strict=True))


@pytest.mark.parametrize("symmetric", [False, True])
def test_only_parameters_are_averaged(data, symmetric):
    model = train(small(symmetric=symmetric), data.train_images, 0, FLOAT32)
    for query, key in zip(model.query.buffers(), model.key.buffers(), strict=True):
        if query.dtype == torch.int64:
            assert query == key == 6 * (1 + symmetric)  # each has seen its own batches
        else:
            assert not torch.equal(query, key)


def test_keys_have_no_gradient_and_the_key_encoder_gets_none(data, monkeypatch):
    given = []
    info_nce = moco.info_nce
    monkeypatch.setattr(moco, "info_nce", lambda *a: given.append(a) or info_nce(*a))
    model = train(small(symmetric=True), data.train_images, 0, FLOAT32)
    assert len(given) == 12
    for q, k, negatives, _ in given:
        assert q.requires_grad
        assert not k.requires_grad
        assert not negatives.requires_grad
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == name.startswith("key."), name
        assert parameter.requires_grad != name.startswith("key."), name


def test_the_optimizer_moves_the_query_encoder_and_only_it(data, monkeypatch):
    monkeypatch.setattr(ModelEMA, "update", lambda self, model: None)
    start = train(small(steps=0), data.train_images, 0, FLOAT32)
    end = train(small(), data.train_images, 0, FLOAT32)
    before = dict(start.named_parameters())
    for name, parameter in end.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("key."), name


def test_momentum_is_constant_or_rises_as_a_cosine_to_one(data):
    model = train(small(), data.train_images, 0, FLOAT32)
    assert model.key.steps == 6
    assert [model.key.momentum(step) for step in range(6)] == [0.9] * 6
    model = train(small(momentum_schedule="cosine"), data.train_images, 0, FLOAT32)
    assert model.key.steps == 6
    seen = [model.key.momentum(step) for step in range(6)]
    assert seen[0] == pytest.approx(0.9, rel=1e-12)
    assert seen[3] == pytest.approx(0.95, rel=1e-12)  # halfway
    assert all(a < b for a, b in pairwise([*seen, 1]))


@pytest.mark.parametrize(("symmetric", "keys"), [(False, 32), (True, 64)])
@pytest.mark.parametrize("size", [1, 31, 50, 64, 1000])
def test_the_queue_holds_the_last_keys_of_training(data, monkeypatch, symmetric, keys, size):
    given = []
    enqueue = moco.KeyQueue.enqueue
    monkeypatch.setattr(
        moco.KeyQueue, "enqueue", lambda self, k: given.append(k) or enqueue(self, k)
    )
    model = train(small(symmetric=symmetric, queue_size=size), data.train_images, 0, FLOAT32)
    assert [len(k) for k in given] == [keys] * 6
    last = torch.cat(given)[-size:]
    places = (torch.arange(6 * keys)[-size:]) % size
    assert torch.equal(model.queue.rows[places], last)
    assert len(model.queue.keys()) == min(size, 6 * keys)


# --- batch statistics -----------------------------------------------------------------------


@pytest.mark.parametrize("splits", [1, 2, 4, 16])
def test_keys_are_those_of_shuffled_parts_and_come_back_in_order(views, splits):
    model = model_of(small(bn_splits=splits))
    by_hand = deepcopy(model.key)
    torch.manual_seed(3)
    keys = shuffled_keys(model.key, views)
    torch.manual_seed(3)
    order = torch.randperm(32)
    for part in order.chunk(splits):
        alone = deepcopy(by_hand)
        for module in alone.modules():
            if isinstance(module, SplitBatchNorm):
                module.splits = 1
        with torch.no_grad():
            # A part by itself takes other kernels of the convolutions than the whole batch.
            torch.testing.assert_close(keys[part], alone(views[part]), rtol=1e-4, atol=1e-5)


def test_a_query_and_its_key_are_seldom_in_one_part():
    """In the key encoder every image meets others than in the query encoder."""
    seen = []

    class Watched(torch.nn.Module):
        def forward(self, images):
            seen.append(images)
            return images[:, :, 0, 0]

    torch.manual_seed(0)
    x = torch.arange(32.0).view(32, 1, 1, 1).expand(32, 3, 2, 2)
    companies = set()
    for _ in range(20):
        assert torch.equal(shuffled_keys(Watched(), x)[:, 0], torch.arange(32.0))
        companies.add(tuple(sorted(seen.pop()[:8, 0, 0, 0].tolist())))
    assert len(companies) == 20


def test_every_norm_of_both_encoders_is_split():
    model = model_of(small(bn_splits=8))
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    assert len(norms) == 2 * 3
    assert {m.splits for m in norms} == {8}


# --- a whole run ----------------------------------------------------------------------------


def test_the_seed_decides_everything_and_the_callers_generator_nothing(data):
    torch.manual_seed(1)
    one = train(small(), data.train_images, seed=0, runtime=FLOAT32)
    torch.manual_seed(2)
    expected = torch.rand(1)
    torch.manual_seed(2)
    two = train(small(), data.train_images, seed=0, runtime=FLOAT32)
    assert torch.equal(torch.rand(1), expected)
    other = train(small(), data.train_images, seed=1, runtime=FLOAT32)
    assert same(one.state_dict(), two.state_dict())
    assert not same(one.state_dict(), other.state_dict())


def test_a_model_goes_on_from_its_state(data, views):
    """Encoders, queue, its count and the number of the step are all that a model depends on."""
    config = small(momentum_schedule="cosine")
    model = train(config, data.train_images, 0, FLOAT32)
    copy = model_of(config, seed=5).to(memory_format=torch.channels_last)  # as train makes it
    copy.load_state_dict(model.state_dict())
    assert copy.key.steps == 6
    for m in (model, copy):
        m.key.steps -= 1  # the step after the last would no longer change the average
        torch.manual_seed(9)
        with torch.no_grad():
            m.query.head[0].weight += 1
        m.key.update(m.query)
        m.queue.enqueue(shuffled_keys(m.key, views))
    assert same(copy.state_dict(), model.state_dict())
    assert {"queue.rows", "queue.count"} <= model.state_dict().keys()


def test_training_lowers_the_loss(data):
    losses = []
    train(
        small(steps=60, augment=["flip"], momentum=0.95),  # views alike: a task learned at once
        data.train_images,
        seed=0,
        runtime=FLOAT32,
        progress=lambda step, loss: losses.append((step, loss)),
    )
    assert [step for step, _ in losses] == list(range(1, 61))
    assert losses[0][1] == 0  # the queue is empty: there is nothing to take the key for
    middle, last = (sum(loss for _, loss in part) / 10 for part in (losses[5:15], losses[-10:]))
    assert last < middle - 0.5


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precisions_keep_parameters_keys_and_queue_in_float32(data, precision):
    runtime = RuntimeConfig(device="cpu", precision=precision)
    model = train(small(), data.train_images, 0, runtime)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.queue.rows.dtype == torch.float32
    assert model.queue.rows.isfinite().all()


def test_it_is_the_query_encoder_that_is_judged(data):
    config = small()
    outcome = moco.METHOD.run(config, data, 0, FLOAT32, lambda step, loss: None)
    query = train(config, data.train_images, 0, FLOAT32).query
    expected = evaluate(query.encoder, query.head, config.augment, config.temperature, data, 0)
    assert expected.items() <= outcome.metrics.items()


# --- settings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": 1.1}, "test: momentum: .* less than or equal to 1, got 1.1"),
        ({"momentum": -0.1}, "test: momentum: .* got -0.1"),
        ({"momentum": "0.9"}, "test: momentum: .* got '0.9'"),
        ({"momentum_schedule": "cosin"}, "test: momentum_schedule: .* got 'cosin'"),
        ({"queue_size": 0}, "test: queue_size: .* got 0"),
        ({"symmetric": 1}, "test: symmetric: .* got 1"),
        ({"bn_splits": 0}, "test: bn_splits: .* got 0"),
        ({"bn_splits": 5}, "bn_splits must divide batch_size, 32, into .* 2 images, got 5"),
        ({"bn_splits": 32}, "bn_splits must divide batch_size, 32, into .* 2 images, got 32"),
        ({"queue": 5}, "unknown key 'queue'; did you mean 'queue_size'"),
        ({"temperature": 0.0}, "test: temperature: .* got 0.0"),
    ],
    ids=str,
)
def test_wrong_settings(settings, message):
    with pytest.raises(ConfigError, match=message) as error:
        small(**settings)
    assert "\n" not in str(error.value)


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
