"""Filters that become zero, and the smaller network that computes the same."""

from copy import deepcopy
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from tiny_data import hidden, tiny_images
from tiny_tasks import FLOAT32, recorded
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from lelkern.methods import get
from lelkern.methods.images import labelled_images
from lelkern.methods.multi_task import group_pruning
from lelkern.methods.multi_task._classifier import Classifier
from lelkern.methods.multi_task._filter_bank import FilterBank
from lelkern.methods.multi_task._filter_chains import group_filters, without_dead_filters
from lelkern.methods.multi_task._multiply_adds import multiply_adds
from lelkern.methods.multi_task.group_pruning import GroupPruningConfig, difference, train
from lelkern.methods.training import unbroken_batches
from lelkern.models import ConvEncoderConfig, Encoder, ResNetEncoderConfig


class Residual:
    """The first two stages of a ResNet, with one block of a kind in each."""

    def __init__(self, block):
        self.block = block

    def build(self):
        network = ResNet(self.block, [1, 1, 1, 1])
        network.layer3 = network.layer4 = network.fc = nn.Identity()
        return Encoder(network, 128 * self.block.expansion)


ENCODERS = {
    "conv": ConvEncoderConfig(width=4, depth=2),
    "basic blocks": Residual(BasicBlock),
    "bottlenecks": Residual(Bottleneck),
}
# A sum of a few thousand products in float64, some of them left out because they are zero, in
# another order: 1e-16 of logits around 1, through a hundred layers at most.
FLOAT64 = 1e-11


def classifier(encoder, seed=0):
    """A classifier whose running statistics, scales and offsets are not those of a new one."""
    torch.manual_seed(seed)
    model = Classifier(encoder, 5, FLOAT32)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def kill(banks, share, seed=0):
    """Make about that share of all filters zero, and return how many are left of each layer."""
    generator = torch.Generator().manual_seed(seed)
    for bank in banks:
        dead = torch.rand(len(bank.rows), generator=generator) < share
        bank.rows.data[dead] = 0
    return [max(1, int(bank.alive().sum())) for bank in banks]


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def images(n=2, size=8):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (n, 3, size, size), generator=generator).to(torch.uint8)


# --- filter banks ---------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_a_filter_bank_is_its_convolution_and_batch_norm(training):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, (3, 2), stride=2, padding=(1, 0), bias=False)
    norm = nn.BatchNorm2d(5, eps=1e-3, momentum=0.3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    bank = FilterBank(deepcopy(conv), deepcopy(norm))
    assert bank.rows.shape == (5, 3 * 3 * 2 + 2)
    for module in (conv, norm, bank):
        module.double().train(training)
    for _ in range(2):  # and what follows once statistics have moved
        x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
        expected, found = norm(conv(x)), bank(x)
        assert torch.allclose(found, expected, rtol=0, atol=FLOAT64)
    expected.square().sum().backward()
    found.square().sum().backward()
    parts = [conv.weight.grad.flatten(1), norm.weight.grad[:, None], norm.bias.grad[:, None]]
    assert torch.allclose(bank.rows.grad, torch.cat(parts, dim=1), rtol=0, atol=FLOAT64)
    assert torch.allclose(bank.running_mean, norm.running_mean, rtol=0, atol=FLOAT64)
    assert torch.allclose(bank.running_var, norm.running_var, rtol=0, atol=FLOAT64)


def test_a_filter_that_is_zero_gives_zero_and_stays_zero():
    torch.manual_seed(0)
    bank = FilterBank(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
    bank.rows.data[1] = 0
    nn.init.normal_(bank.running_mean)
    for training in (True, False):
        y = bank.train(training)(torch.randn(5, 3, 6, 6))
        assert (y[:, 1] == 0).all()
        torch.relu(y).square().sum().backward()
        assert (bank.rows.grad[1] == 0).all()
        assert (bank.rows.grad[0] != 0).any()
    assert bank.alive().tolist() == [True, False, True, True]


# --- what is taken out ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "share"),
    [("conv", 0.0), ("conv", 0.6), ("conv", 1.0), ("basic blocks", 0.6), ("bottlenecks", 0.6)],
)
def test_the_smaller_network_computes_the_same(encoder, share):
    plain = classifier(ENCODERS[encoder])
    model = deepcopy(plain)
    banks = group_filters(model)
    assert parameters(model) == parameters(plain)
    left = kill(banks, share)
    small = without_dead_filters(model)
    assert difference(model, small, images()) < FLOAT64
    if share == 0:
        assert difference(plain, small, images()) < FLOAT64
        assert parameters(small) == parameters(plain)
    else:
        assert difference(plain, small, images()) > 1e-3
    assert not any(isinstance(module, FilterBank) for module in small.modules())
    assert [len(bank.rows) for bank in banks] != left or share == 0


def test_the_smaller_network_goes_on_as_the_sparse_one_would():
    """Statistics of BatchNorm move alike."""
    model = classifier(ENCODERS["conv"])
    kill(group_filters(model), 0.6)
    small = without_dead_filters(model)
    x = torch.rand(8, 3, 16, 16, dtype=torch.float64)
    outputs = [network.double().train()(x) for network in (model, small)]
    assert torch.allclose(*outputs, rtol=0, atol=FLOAT64)
    assert difference(model, small, images()) < FLOAT64


def test_a_filter_is_dead_only_with_all_that_it_has():
    bank = FilterBank(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
    bank.rows.data[0, :-2] = 0  # a scale of 1
    bank.rows.data[1] = 0
    bank.rows.data[1, -1] = 0.5  # an offset
    bank.rows.data[2] = 0
    assert bank.alive().tolist() == [True, True, False, True]


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_parameters_are_those_of_the_filters_that_are_left(share):
    """Of a layer without any at least one, which is zero."""
    model = classifier(ENCODERS["conv"])
    left = kill(group_filters(model), share)
    small = without_dead_filters(model)
    channels = [3, *left]
    filters = sum(9 * a * b + 2 * b for a, b in zip(channels[:-1], left, strict=True))
    assert parameters(small) == filters + 5 * left[-1] + 5
    assert small.encoder.features == left[-1]
    assert [m.out_channels for m in small.modules() if isinstance(m, nn.Conv2d)] == left
    assert [m.num_features for m in small.modules() if isinstance(m, nn.BatchNorm2d)] == left


def test_pruning_changes_neither_the_network_nor_the_global_generator():
    model = classifier(ENCODERS["conv"])
    kill(group_filters(model), 0.5)
    before, state = deepcopy(model.state_dict()), torch.get_rng_state()
    without_dead_filters(model)
    assert torch.equal(torch.get_rng_state(), state)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_of_a_resnets_block_the_last_convolution_keeps_its_filters():
    model = classifier(ResNetEncoderConfig(name="resnet18"))
    banks = group_filters(model)
    assert [len(bank.rows) for bank in banks] == [n for n in (64, 128, 256, 512) for _ in range(2)]
    left = kill(banks, 0.5)
    block = without_dead_filters(model).encoder.layers.layer1[0]
    assert (block.conv1.out_channels, block.bn1.num_features) == (left[0], left[0])
    assert (block.conv2.in_channels, block.conv2.out_channels) == (left[0], 64)
    bottlenecks = group_filters(classifier(ENCODERS["bottlenecks"]))
    assert [len(bank.rows) for bank in bottlenecks] == [64, 64, 128, 128]


def test_multiplications_of_an_image():
    """Of 3x3 filters at every place of the output, and of a linear layer once."""
    model = Classifier(ConvEncoderConfig(width=4, depth=1), 5, FLOAT32)
    image = torch.rand(3, 16, 16)
    expected = 9 * (64 * 3 * 4 + 16 * 4 * 8 + 16 * 8 * 16) + 16 * 5
    assert multiply_adds(model, image) == expected
    assert model.training
    kill(group_filters(model), 0.5)
    small = without_dead_filters(model)
    widths = [m.out_channels for m in small.modules() if isinstance(m, nn.Conv2d)]
    pairs = zip([3, *widths], widths, (64, 16, 16), strict=False)
    assert multiply_adds(small, image) == 9 * sum(a * b * n for a, b, n in pairs) + 5 * widths[2]


# --- the recipe -----------------------------------------------------------------------------

SMALL = {
    "encoder": {"width": 4, "depth": 1},
    "batch_size": 8,
    "steps": 20,
    "finetune_steps": 5,
    "lr": 0.1,
    "lam": 0.16,  # of which some filters die, but not all
}


def small(**changes):
    return GroupPruningConfig.parse(SMALL | changes, "test")


@cache
def trained(**changes):
    """What a recipe makes of all tiny images, which no test changes, and the losses."""
    return recorded(train, small(**changes), tiny_images())


def test_it_is_sgd_and_the_proximal_step_of_the_group_lasso():
    config, data = small(steps=4, finetune_steps=0, lam=0.3), hidden(tiny_images(), 0.5)
    pruned, losses = recorded(train, config, data)
    x, y = labelled_images(data)
    torch.manual_seed(0)
    model = Classifier(config.encoder, 3, FLOAT32).to(memory_format=torch.channels_last)
    filters = [bank.rows for bank in group_filters(model)]
    velocity = {p: torch.zeros_like(p) for p in model.parameters()}
    rates = [0.1, 0.1 * (1 + torch.tensor(torch.pi * 0.25).cos()) / 2]
    rates += [0.1 * (1 + torch.tensor(torch.pi * t).cos()) / 2 for t in (0.5, 0.75)]
    expected = []
    for i, rate in zip(unbroken_batches(len(x), 8, 4), rates, strict=True):
        loss = F.cross_entropy(model(x[i].float() / 255), y[i])
        expected.append(loss.item())
        gradients = torch.autograd.grad(loss, list(velocity))
        with torch.no_grad():
            for (p, v), g in zip(velocity.items(), gradients, strict=True):
                v.mul_(0.9).add_(g)
                p -= rate * (g + 0.9 * v)  # Nesterov
            for rows in filters:
                for row in rows:
                    # A constant gradient moves a parameter by ten times the rate a step.
                    norm, threshold = row.norm(), 10 * rate * config.lam
                    row.copy_(row * (1 - threshold / norm) if norm > threshold else 0 * row)
    # float32 over four steps that BatchNorm of eight images magnifies.
    assert losses == pytest.approx(expected, rel=1e-3)
    for mine, theirs in zip(pruned.sparse.parameters(), model.parameters(), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-2, atol=1e-4)


def test_the_dearer_a_filter_the_fewer_are_left():
    left = []
    for changes in ({"lam": 0.0}, {}, {"lam": 0.19}, {"lam": 1.0}):
        pruned, losses = trained(**changes)
        left.append((pruned.filters_left, parameters(pruned.model)))
        assert len(losses) == 25
        assert difference(pruned.sparse, pruned.small, images()) < FLOAT64
        banks = [m for m in pruned.sparse.modules() if isinstance(m, FilterBank)]
        alive = sum(int(bank.alive().sum()) for bank in banks)
        assert pruned.filters_left == alive / sum(len(bank.rows) for bank in banks)
    assert left == sorted(left, reverse=True)
    assert left[0][0] == 1 > left[1][0] > 0 == left[3][0]


def test_without_further_steps_the_smaller_network_is_what_was_taken_out():
    pruned, _ = trained(finetune_steps=0)
    assert difference(pruned.model, pruned.small, images()) == 0
    tuned, _ = trained()
    assert difference(tuned.small, pruned.small, images()) == 0
    assert difference(tuned.model, tuned.small, images()) > 1e-3


def test_what_is_reported_is_that_of_the_smaller_network(monkeypatch):
    found = []

    def remembered(*arguments):
        found.append(train(*arguments))
        return found[0]

    monkeypatch.setattr(group_pruning, "train", remembered)
    method, data = get("group-pruning"), tiny_images().with_validation(0.2, 0)
    config = small(finetune_steps=10, finetune_lr=0.1)  # with which it learns something
    metrics = method.run(config, data, 0, FLOAT32, lambda *_: None).metrics
    (pruned,) = found
    assert parameters(pruned.model) < parameters(pruned.sparse)
    assert metrics["parameters"] == parameters(pruned.model)
    assert metrics["multiply_adds"] == multiply_adds(pruned.model, torch.rand(3, 16, 16))
    assert metrics["filters_left"] == pruned.filters_left
    assert metrics["output_difference"] < FLOAT64
    accuracies = []
    for network in (pruned.model, pruned.small):
        with torch.no_grad():
            answers = network.eval()(data.test_images.float() / 255).argmax(dim=1)
        accuracies.append(float((answers == data.test_labels).double().mean()))
    assert accuracies[0] > accuracies[1]
    assert [metrics["accuracy"], metrics["accuracy_before"]] == accuracies
