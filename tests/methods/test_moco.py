from copy import deepcopy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from small_runs import FLOAT32, SMALL, same

from lelkern.ablation._methods import METHODS
from lelkern.config import ConfigError
from lelkern.methods import moco, simclr
from lelkern.methods.moco import MoCoConfig, train
from lelkern.methods.pretraining import Training
from lelkern.models import SplitBatchNorm
from lelkern.runtime import RuntimeConfig


def small(**changes):
    return MoCoConfig.parse(SMALL | {"queue_size": 50, "momentum": 0.9} | changes, "test")


@pytest.fixture
def views(data):
    """Two views of 32 images, float."""
    images = data.train_images[:64].float() / 255
    return images[:32], images[32:]


def model_of(config, seed=0):
    torch.manual_seed(seed)
    return moco.MoCo(config, 24, FLOAT32)


def filled(model, n=70):
    model.queue.enqueue(torch.randn(n, model.queue.rows.shape[1]))
    return model


# --- the key encoder ------------------------------------------------------------------------


def test_keys_begin_with_a_copy_of_the_query_encoder():
    model = model_of(small())
    assert same(model.key.encoder.state_dict(), model.encoder.state_dict())
    assert same(model.key.head.state_dict(), model.head.state_dict())
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


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("symmetric", [False, True])
def test_keys_are_the_moving_average_of_the_query_encoder(data, monkeypatch, momentum, symmetric):
    """After every step exactly m theta_k + (1 - m) theta_q, in float64 by hand."""
    averages, start, queries = [], [], []
    follow = moco.MoCo.follow

    def watched(self, m):
        query = [p.detach().clone() for p in (*self.encoder.parameters(), *self.head.parameters())]
        if not start:
            start.extend(p.detach().double() for p in deepcopy(self.key).parameters())
        queries.append(query)
        follow(self, m)
        averages.append([p.detach().clone() for p in self.key.parameters()])

    monkeypatch.setattr(moco.MoCo, "follow", watched)
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


def test_only_parameters_are_averaged(data):
    model = train(small(), data.train_images, 0, FLOAT32)
    for query, key in zip(model.encoder.buffers(), model.key.encoder.buffers(), strict=True):
        if query.dtype == torch.int64:
            assert query == key == 6  # each has seen one batch a step
        else:
            assert not torch.equal(query, key)


@pytest.mark.parametrize("symmetric", [False, True])
def test_keys_have_no_gradient_and_the_key_encoder_gets_none(views, symmetric):
    model = filled(model_of(small(symmetric=symmetric)))
    loss, keys = model.compare(*(view.requires_grad_() for view in views))
    loss.backward()
    assert not keys.requires_grad
    assert not model.queue.rows.requires_grad
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == name.startswith("key."), name
        assert parameter.requires_grad != name.startswith("key."), name


def test_the_optimizer_moves_the_query_encoder_and_only_it(data, monkeypatch):
    monkeypatch.setattr(moco.MoCo, "follow", lambda self, m: None)
    start = train(small(steps=0), data.train_images, 0, FLOAT32)
    end = train(small(), data.train_images, 0, FLOAT32)
    before = dict(start.named_parameters())
    for name, parameter in end.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith("key."), name


def test_momentum_is_constant_or_rises_as_a_cosine_to_one(data, monkeypatch):
    seen = []
    monkeypatch.setattr(moco.MoCo, "follow", lambda self, m: seen.append(m))
    train(small(), data.train_images, 0, FLOAT32)
    assert seen == [0.9] * 6
    seen.clear()
    train(small(momentum_schedule="cosine"), data.train_images, 0, FLOAT32)
    assert len(seen) == 6
    assert seen[0] == pytest.approx(0.9, rel=1e-12)
    assert seen[3] == pytest.approx(0.95, rel=1e-12)  # halfway
    assert all(a < b for a, b in pairwise([*seen, 1]))


# --- the loss -------------------------------------------------------------------------------


def equation_1(q, k, negatives, temperature):
    q, k, negatives = (F.normalize(x.double(), dim=1) for x in (q, k, negatives))
    logits = torch.cat([(q * k).sum(dim=1, keepdim=True), q @ negatives.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.int64))


@pytest.mark.parametrize("kind", ["none", "linear", "nonlinear"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_loss_is_equation_1_over_the_queue(views, symmetric, kind):
    config = small(symmetric=symmetric, head={"kind": kind, "width": 16, "out": 8})
    model = filled(model_of(config))
    x1, x2 = views
    negatives = model.queue.keys().clone()
    state = deepcopy(model.state_dict())
    torch.manual_seed(7)
    loss, keys = model.compare(x1, x2)

    model.load_state_dict(state)
    torch.manual_seed(7)
    ways = [(x1, x2), (x2, x1)] if symmetric else [(x1, x2)]
    expected_keys = [model.keys(other) for _, other in ways]
    expected = [
        equation_1(model(view), k, negatives, config.temperature)
        for (view, _), k in zip(ways, expected_keys, strict=True)
    ]
    assert torch.equal(keys, torch.cat(expected_keys))
    # The op's own tests bound its error; this is float32 against float64.
    torch.testing.assert_close(loss.double(), torch.stack(expected).mean(), rtol=1e-5, atol=1e-5)


def test_swapping_the_views_swaps_the_halves_of_the_symmetric_loss(views):
    model = filled(model_of(small(symmetric=True, bn_splits=1)))
    loss, keys = model.compare(*views)
    swapped_loss, swapped_keys = model.compare(*reversed(views))
    # Other orders of summation in BatchNorm, since keys are shuffled anew.
    torch.testing.assert_close(swapped_loss, loss, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(swapped_keys, keys.roll(32, 0), rtol=1e-3, atol=1e-4)


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
    _, x = views
    by_hand = deepcopy(model.key)
    torch.manual_seed(3)
    keys = model.keys(x)
    torch.manual_seed(3)
    order = torch.randperm(32)
    for part in order.chunk(splits):
        alone = deepcopy(by_hand)
        for module in alone.modules():
            if isinstance(module, SplitBatchNorm):
                module.splits = 1
        with torch.no_grad():
            # A part by itself takes other kernels of the convolutions than the whole batch.
            torch.testing.assert_close(keys[part], alone(x[part]), rtol=1e-4, atol=1e-5)


def test_a_query_and_its_key_are_seldom_in_one_part(views, monkeypatch):
    """In the key encoder every image meets others than in the query encoder."""
    model = model_of(small(bn_splits=4))
    seen = []
    monkeypatch.setattr(
        type(model.key), "forward", lambda self, images: seen.append(images) or images[:, :, 0, 0]
    )
    torch.manual_seed(0)
    x = torch.arange(32.0).view(32, 1, 1, 1).expand(32, 3, 2, 2)
    companies = set()
    for _ in range(20):
        assert torch.equal(model.keys(x)[:, 0], torch.arange(32.0))
        companies.add(tuple(sorted(seen.pop()[:8, 0, 0, 0].tolist())))
    assert len(companies) == 20
    model(x)
    assert torch.equal(seen.pop(), x)  # queries stay in order


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


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_model_goes_on_from_its_state(data, symmetric):
    """Encoders, queue and its count are all that a step of the model depends on."""
    config = small(symmetric=symmetric, optimizer={"name": "sgd", "lr": 0.1, "warmup": 0.0})
    model = train(config, data.train_images, 0, FLOAT32)
    copy = model_of(config, seed=5).to(memory_format=torch.channels_last)  # as train makes it
    copy.load_state_dict(model.state_dict())
    ends = []
    for m in (model, copy):
        torch.manual_seed(9)
        losses = []
        training = Training(m, config, data.train_images, lambda step, loss: losses.append(loss))  # noqa: B023
        moco._fit(m, training)
        ends.append((losses, m.state_dict()))
    assert ends[0][0] == ends[1][0]
    assert same(ends[0][1], ends[1][1])
    assert {"queue.rows", "queue.count"} <= ends[0][1].keys()


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


def test_runs_through_the_registry_and_judges_the_query_encoder(data):
    method = METHODS["moco"]
    method.check(small(), data)
    metrics = method.run(small(), data, 0, FLOAT32, lambda step, loss: None)
    untrained = method.run(method.untrained(small()), data, 0, FLOAT32, lambda step, loss: None)
    assert "final_loss" in metrics
    assert "final_loss" not in untrained
    assert metrics["parameters"] == untrained["parameters"]
    model = train(small(), data.train_images, 0, FLOAT32)
    assert metrics["parameters"] == sum(p.numel() for p in model.encoder.parameters())


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
    ],
)
def test_refuses_images_it_cannot_use(images, message):
    with pytest.raises(ValueError, match=message):
        train(small(), images, seed=0)
