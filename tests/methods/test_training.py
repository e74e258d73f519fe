import math

import pytest
import torch
from strange_settings import strange_settings
from torch import nn

from lelkern.methods.training import Losses, after, batches, seeded, unbroken_batches
from lelkern.optim import Optimisation, OptimizerConfig
from lelkern.runtime import silent


def test_seeded_puts_the_generator_back_whatever_happens():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with seeded(5):
        one = torch.rand(3)
    with pytest.raises(RuntimeError), seeded(5):
        torch.rand(3).view(2)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), one)


def test_training_does_not_depend_on_what_pytorch_is_set_to():
    def trained():
        with seeded(0):
            model = nn.Linear(3, 1)
            optimisation = Optimisation(OptimizerConfig(), [model], 2, silent)
            for batch in batches(4, 2, 2):
                with torch.autocast("cpu", torch.bfloat16):
                    loss = model(torch.ones(2, 3)).square().mean()
                optimisation.step(loss + batch.sum())
            return model.weight

    expected = trained()
    with strange_settings():
        weight = trained()
    assert (weight.dtype, weight.is_inference()) == (torch.float32, False)
    assert torch.equal(weight, expected)


@pytest.mark.parametrize(("number", "size"), [(12, 4), (13, 4), (4, 4), (7, 1)])
def test_batches_go_through_all_samples_once_an_epoch_in_new_orders(number, size):
    an_epoch = number // size
    with seeded(0):
        drawn = list(batches(number, size, 3 * an_epoch))
    assert len(drawn) == 3 * an_epoch
    assert {(b.shape, b.dtype) for b in drawn} == {((size,), torch.int64)}
    epochs = [torch.cat(drawn[i : i + an_epoch]) for i in range(0, 3 * an_epoch, an_epoch)]
    for epoch in epochs:
        assert len(epoch.unique()) == an_epoch * size
        assert 0 <= epoch.min() <= epoch.max() < number
    assert not torch.equal(epochs[0], epochs[1])


def test_a_stream_of_batches_goes_on_in_the_middle_of_an_epoch():
    with seeded(0):
        long = list(batches(9, 2, 10))
    with seeded(0):
        short = list(batches(9, 2, 6))
    assert all(torch.equal(a, b) for a, b in zip(long, short, strict=False))
    assert list(batches(9, 2, 0)) == []


@pytest.mark.parametrize("size", [0, 5])
def test_a_batch_that_there_is_not(size):
    with pytest.raises(ValueError, match=f"number of samples, 4, got {size}"):
        next(batches(4, size, 1))


@pytest.mark.parametrize(("number", "size"), [(5, 3), (3, 8), (1, 2), (4, 4)])
def test_unbroken_batches_see_all_samples_equally_often(number, size):
    with seeded(0):
        drawn = list(unbroken_batches(number, size, 4 * number))
    assert len(drawn) == 4 * number
    assert {(b.shape, b.dtype) for b in drawn} == {((size,), torch.int64)}
    epochs = torch.cat(drawn).split(number)
    assert all(epoch.sort().values.tolist() == list(range(number)) for epoch in epochs)
    assert number == 1 or len({tuple(epoch.tolist()) for epoch in epochs}) > 1


@pytest.mark.parametrize(("number", "size"), [(0, 2), (2, 0)])
def test_no_sample_makes_no_batch(number, size):
    with pytest.raises(ValueError, match=f"must be at least 1, got {number} and {size}"):
        next(unbroken_batches(number, size, 1))


def test_a_training_that_follows_on_others_counts_on():
    reports = []
    after(600, lambda *report: reports.append(report))(1, 0.5)
    assert reports == [(601, 0.5)]


def test_losses_are_passed_on_and_end_in_the_mean_of_the_last_tenth():
    reports = []
    losses = Losses(lambda *report: reports.append(report))
    losses(0, None)
    assert reports.pop() == (0, None)
    assert math.isnan(losses.final())
    losses(1, 5.0)
    assert losses.final() == 5
    for step in range(2, 31):
        losses(step, float(step))
    assert reports == [(1, 5.0), *((step, float(step)) for step in range(2, 31))]
    assert losses.final() == 29  # of 28, 29, 30


def test_two_players_each_move_their_own_parameters():
    one, two = nn.Linear(1, 1), nn.Linear(1, 1)
    config = OptimizerConfig(name="sgd", lr=0.1, warmup=0.0)
    players = [Optimisation(config, [one], 4, silent), Optimisation(config, [two], 4, silent)]
    for mover, other, player in ((one, two, players[0]), (two, one, players[1])):
        before = [p.detach().clone() for p in (*mover.parameters(), *other.parameters())]
        player.step(two(one(torch.ones(3, 1))).square().mean())
        after = [*mover.parameters(), *other.parameters()]
        assert [torch.equal(a, b) for a, b in zip(after, before, strict=True)] == [False] * 2 + [
            True
        ] * 2
