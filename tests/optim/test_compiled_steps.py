"""Steps under torch.compile, by themselves and in a training step: the same as without it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.optim import SGD, Optimizer

from lelkern.optim import ProximalAdam, ProximalSGD, ProximalStep

LR, STEPS = 0.1, 3


def proximal_sgd(groups: list[dict[str, Any]]) -> Optimizer:
    return ProximalSGD(groups, lr=LR, momentum=0.5, nesterov=True, weight_decay=0.1)


def proximal_adam(groups: list[dict[str, Any]]) -> Optimizer:
    return ProximalAdam(groups, lr=LR, betas=(0.5, 0.75))


def followed_sgd(groups: list[dict[str, Any]]) -> Optimizer:
    optimizer = SGD(groups, lr=LR, momentum=0.5)
    ProximalStep(optimizer)
    return optimizer


OPTIMISERS = {make.__name__: make for make in (proximal_sgd, proximal_adam, followed_sgd)}


class Training:
    """A network with penalties of two kinds, and the gradients of a small regression."""

    def __init__(self, build: Callable[[list[dict[str, Any]]], Optimizer]) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(STEPS, 20, 6, generator=generator)
        self.network = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
        for parameter in self.network.parameters():
            torch.nn.init.normal_(parameter, std=0.2, generator=generator)
        first, _, second = self.network
        self.optimizer = build(
            [
                {"params": [first.weight], "prox": "group_lasso", "dim": 0, "lam": 0.3},
                {"params": [second.weight], "prox": "l1", "lam": 0.3},
                {"params": [first.bias, second.bias], "prox": None},
            ]
        )

    def backward(self, step: int) -> torch.Tensor:
        x = self.x[step]
        loss = (self.network(x) - x[:, :2]).square().mean()
        loss.backward()
        return loss

    def whole(self, step: int) -> torch.Tensor:
        loss = self.backward(step)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss


@pytest.mark.slow
@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_learning_rates_and_decays_neither_go_stale_nor_compile_again_for_every_value(kind):
    torch._dynamo.reset()
    eager, training = Training(proximal_sgd), Training(proximal_sgd)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(training.optimizer.step, backend=counter, fullgraph=True)
    values = [0.1 / (1 + i) for i in range(8)]
    for i, value in enumerate(values):
        for one in (eager, training):
            for group in one.optimizer.param_groups:
                group.update(lr=kind(value), weight_decay=0.1 + value)
            one.backward(i % STEPS)
        eager.optimizer.step()
        compiled()
        for one in (eager, training):
            one.optimizer.zero_grad()
    for ours, theirs in zip(training.network.parameters(), eager.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=16 * torch.finfo(torch.float32).eps)
    # One makes the momentum, one takes the numbers for constants, and one takes any.
    assert counter.frame_count <= 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimiser", "whole"),
    [
        ("proximal_sgd", False),
        ("proximal_sgd", True),
        ("proximal_adam", True),
        ("followed_sgd", True),
    ],
)
def test_compiled_steps_lead_to_the_same_place(optimiser, whole):
    torch._dynamo.reset()
    eager, training = Training(OPTIMISERS[optimiser]), Training(OPTIMISERS[optimiser])
    # PyTorch breaks graphs itself, at backward and at its own optimisers; else there is one.
    compiled = torch.compile(
        training.whole if whole else training.optimizer.step,
        backend="aot_eager",
        fullgraph=not whole,
    )
    for step in range(STEPS):  # the first makes the state
        expected = eager.whole(step)
        if whole:
            found = compiled(step)
        else:
            found = training.backward(step)
            compiled()
            training.optimizer.zero_grad()
        torch.testing.assert_close(found, expected)
    zeros = 0
    for ours, theirs in zip(training.network.parameters(), eager.network.parameters(), strict=True):
        # The same operations, but for the bias of Adam, corrected in float32 where it is compiled:
        # a few roundings of numbers around 1.
        torch.testing.assert_close(ours, theirs, rtol=0, atol=16 * torch.finfo(torch.float32).eps)
        assert torch.equal(ours == 0, theirs == 0)
        zeros += int((ours == 0).sum())
    assert zeros > 0
