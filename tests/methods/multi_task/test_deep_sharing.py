"""Hard and soft sharing and separate networks: their losses, what is shared, and their reports."""

import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from tiny_data import hidden, tiny_image_tasks
from tiny_tasks import FLOAT32, recorded, small, some_labels, weights
from torch import nn

from lelkern.methods import get
from lelkern.methods.multi_task import hard_sharing, separate_networks, soft_sharing
from lelkern.methods.multi_task._classifier import Classifier
from lelkern.methods.multi_task._deep_config import training_labels
from lelkern.methods.multi_task._deep_evaluation import evaluate
from lelkern.methods.multi_task._task_batches import task_batches
from lelkern.methods.multi_task._task_weights import TaskWeights
from lelkern.methods.multi_task.hard_sharing import HardSharingConfig
from lelkern.methods.multi_task.separate_networks import SeparateNetworksConfig
from lelkern.methods.multi_task.soft_sharing import SoftSharingConfig, distance

RECIPES = {
    "hard": (hard_sharing.train, HardSharingConfig),
    "separate": (separate_networks.train, SeparateNetworksConfig),
    "soft": (soft_sharing.train, SoftSharingConfig),
}
SIZES = (3, 2, 2)
# float32 with sums in another order: a few units in the last place, which BatchNorm over a dozen
# images and six steps with momentum magnify.
ROUNDING = 1e-3


class Replay:
    """A training in plain PyTorch with the random numbers of a recipe, its losses written out."""

    def __init__(self, config, data, outputs, loss):
        torch.manual_seed(0)
        self.config = config
        self.networks = [Classifier(config.encoder, n, FLOAT32) for n in outputs]
        self.networks = [n.to(memory_format=torch.channels_last) for n in self.networks]
        if isinstance(config, SoftSharingConfig):
            for network in self.networks[1:]:
                network.encoder = deepcopy(self.networks[0].encoder)
        self.s = torch.zeros(3, requires_grad=True)
        learned = [p for network in self.networks for p in network.parameters()]
        learned += [self.s] if getattr(config, "weighting", "") == "uncertainty" else []
        sgd = torch.optim.SGD(learned, config.optimizer.lr, momentum=0.9, nesterov=True)
        labels, self.losses = training_labels(config, data), []
        for x, y in task_batches(data.train_images, labels, config.batch_size, config.steps):
            value = loss(self, x, y)
            self.losses.append(value.item())
            sgd.zero_grad()
            value.backward()
            sgd.step()


def log_loss(logits, y):
    """The mean of -log p of the labels (N,)."""
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    return -p[torch.arange(len(y)), y].log().mean()


def hard_losses(run, x, y):
    logits, start, losses = run.networks[0](x), 0, []
    for task, size in enumerate(SIZES):
        known = y[:, task] >= 0
        losses.append(log_loss(logits[known, start : start + size], y[known, task]))
        start += size
    return losses


def own_losses(run, x, y):
    losses = []
    for task, network in enumerate(run.networks):
        known = y[:, task] >= 0
        losses.append(log_loss(network(x[known]), y[known, task]))
    return losses


def soft_loss(run, x, y):
    apart = 0.0
    for same in zip(*(n.encoder.parameters() for n in run.networks), strict=True):
        mean = sum(same) / len(same)
        apart = apart + sum(((one - mean) ** 2).sum() for one in same)
    return sum(own_losses(run, x, y)) + run.config.strength / 2 * apart


def uncertain_loss(run, x, y):
    variances = run.s.exp()  # sigma^2
    pairs = zip(hard_losses(run, x, y), variances, strict=True)
    return sum(loss / variance + variance.sqrt().log() for loss, variance in pairs)


CASES = {
    "hard": ("hard", {}, [7], lambda *a: sum(hard_losses(*a))),
    "hard-all": ("hard", {"others": "all"}, [7], lambda *a: sum(hard_losses(*a))),
    "hard-uncertain": ("hard", {"weighting": "uncertainty"}, [7], uncertain_loss),
    "separate": ("separate", {"others": "all"}, SIZES, lambda *a: sum(own_losses(*a))),
    "soft": ("soft", {"others": "all", "strength": 2.0}, SIZES, soft_loss),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_its_equation(case):
    recipe, changes, outputs, loss = CASES[case]
    train, kind = RECIPES[recipe]
    config, data = small(kind, **changes), some_labels()
    trained, losses = recorded(train, config, data)
    by_hand = Replay(config, data, outputs, loss)
    assert losses == pytest.approx(by_hand.losses, rel=ROUNDING)
    module = trained[0] if isinstance(trained, tuple) else trained
    networks = [module] if isinstance(module, Classifier) else module.networks
    for mine, theirs in zip(networks, by_hand.networks, strict=True):
        for name, value in weights(mine).items():
            assert torch.allclose(value, theirs.state_dict()[name], rtol=1e-2, atol=1e-3), name


def relabelled(data, column):
    """The data with other labels of one of the further tasks."""
    further = data.train_further.clone()
    further[:, column] = 1 - further[:, column]
    return replace(data, train_further=further)


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_one_task_teaches_reaches_the_others_where_something_is_shared(recipe):
    train, kind = RECIPES[recipe]
    found = []
    for data in (some_labels(), relabelled(some_labels(), column=1)):
        trained, _ = recorded(train, small(kind), data)
        module = trained[0] if isinstance(trained, tuple) else trained
        first = module if isinstance(module, Classifier) else module.networks[0]
        found.append(weights(first.encoder))
    same = all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert same == (recipe == "separate")


def test_networks_that_are_held_together_start_as_one_and_end_the_nearer_the_stronger():
    apart = []
    for strength in (0.0, 0.3, 3.0):
        config = small(SoftSharingConfig, strength=strength)
        (networks, _), _ = recorded(soft_sharing.train, config, some_labels())
        apart.append(float(distance([n.encoder for n in networks.networks]).detach()))
    assert apart == sorted(apart, reverse=True)
    config = small(SoftSharingConfig, steps=0)
    (networks, _), _ = recorded(soft_sharing.train, config, some_labels())
    encoders = [weights(n.encoder) for n in networks.networks]
    assert all(torch.equal(e[name], encoders[0][name]) for e in encoders[1:] for name in e)
    heads = [n.linear.weight for n in networks.networks[1:]]
    assert not torch.equal(*heads)  # of two classes each; what is not shared is drawn apart


def test_the_distance_is_that_from_the_mean():
    one, other = nn.Linear(2, 1), nn.Linear(2, 1)
    with torch.no_grad():
        one.weight.copy_(torch.tensor([[1.0, 4.0]]))
        other.weight.copy_(torch.tensor([[3.0, 4.0]]))
        one.bias.zero_()
        other.bias.fill_(4.0)
    assert float(distance([one, other]).detach()) == 2 * 1**2 + 2 * 2**2


# --- weights of the losses ------------------------------------------------------------------


def test_equal_weights_are_the_sum():
    weighted = TaskWeights("equal", 2)
    assert weighted(torch.tensor([1.5, 2.0])) == 3.5
    assert not any(p.requires_grad for p in weighted.parameters())
    assert weighted.curve() == [(1.0, 1.0), (2.0, 1.0)]


def test_uncertain_losses_count_one_over_twice_their_value():
    """Losses that stay as they are: the optimum of Kendall's sum over the variances."""
    weighted, losses = TaskWeights("uncertainty", 3), torch.tensor([0.1, 0.5, 2.0])
    optimizer = torch.optim.SGD(weighted.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        weighted(losses).backward()
        optimizer.step()
    assert [weight for _, weight in weighted.curve()] == pytest.approx([5.0, 1.0, 0.25], rel=1e-4)
    at_optimum = sum(0.5 + math.log(2 * loss) / 2 for loss in losses.tolist())
    assert float(weighted(losses).detach()) == pytest.approx(at_optimum, rel=1e-5)


# --- what is reported -----------------------------------------------------------------------


class Answers(nn.Module):
    """Logits that say one class of each task to whatever image."""

    def __init__(self, *classes):
        super().__init__()
        self.logits = nn.Parameter(
            torch.cat([torch.eye(n)[c] for n, c in zip(SIZES, classes, strict=True)])
        )

    def forward(self, images):
        return self.logits.expand(len(images), -1)


def test_accuracies_are_over_the_labels_that_are_known():
    data = tiny_image_tasks()
    further = data.test_further.clone()
    further[:, 0] = torch.tensor([1] * 12 + [0] * 3 + [-1] * 45)
    further[:, 1] = -1
    data = replace(data, test_further=further)
    outcome = evaluate(Answers(2, 1, 0), data, [])
    metrics, curves = outcome.metrics, outcome.curves
    assert metrics["accuracy_1"] == pytest.approx(1 / 3)
    assert metrics["accuracy_2"] == pytest.approx(0.8)
    assert math.isnan(metrics["accuracy_3"])
    assert metrics["accuracy"] == pytest.approx((1 / 3 + 0.8) / 2)
    assert math.isnan(metrics["validation_accuracy"])
    assert metrics["parameters"] == 7
    assert curves["tasks"] == [(1, pytest.approx(1 / 3)), (2, pytest.approx(0.8))]


def test_one_network_for_all_is_smaller_by_the_encoders_that_it_shares():
    sizes = {}
    for name in ("hard-sharing", "separate-networks", "soft-sharing"):
        method, data = get(name), tiny_image_tasks().with_validation(0.2, 0)
        outcome = method.run(small(method.config, steps=1), data, 0, FLOAT32, lambda *_: None)
        sizes[name] = outcome.metrics["parameters"]
        assert 0 <= outcome.metrics["validation_accuracy"] <= 1
        assert [task for task, _ in outcome.curves["weights"]] == [1, 2, 3]
    encoder = Classifier(small(HardSharingConfig).encoder, 1, FLOAT32).encoder
    shared = sum(p.numel() for p in encoder.parameters())
    assert sizes["separate-networks"] - sizes["hard-sharing"] == 2 * shared
    assert sizes["soft-sharing"] == sizes["separate-networks"]


def test_a_task_without_labels_is_named():
    data = hidden(tiny_image_tasks(), 0.4)
    further = data.train_further.clone()
    further[:12, 1] = 0
    data = replace(data, train_further=further)
    with pytest.raises(ValueError, match="2 classes of task 'half' must be visible, got 1"):
        recorded(hard_sharing.train, small(HardSharingConfig), data)
    recorded(hard_sharing.train, small(HardSharingConfig, others="all", steps=1), data)
