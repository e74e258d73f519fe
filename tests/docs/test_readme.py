"""The README's code runs as it stands there."""

import functools

import pytest
import torch
from documented import code_blocks
from torch import nn
from torch.optim.swa_utils import AveragedModel

import lelkern


@pytest.fixture
def block(tmp_path, monkeypatch):
    """The code about moving averages, in a folder where it may write."""
    monkeypatch.chdir(tmp_path)
    (code,) = code_blocks("README.md", "Moving averages")
    return code


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.norm(x))


def steps_of(model, optimizer):
    """Batches that train the model as they are asked for."""
    for _ in range(5):
        batch = torch.randn(8, 3)
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        yield batch


def test_moving_averages(block):
    torch.manual_seed(0)
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters())
    seen = []
    names = {
        "torch": torch,
        "lelkern": lelkern,
        "functools": functools,
        "AveragedModel": AveragedModel,
        "model": model,
        "optimizer": optimizer,
        "batches": steps_of(model, optimizer),
        "evaluate": lambda model: seen.append(model.head.weight.clone()),
        "ema_tensors": [torch.zeros(2)],
        "parameters": [torch.ones(2)],
    }
    saving, going_on = block.split("saved = ")
    exec(saving, names)
    first = names["ema"]
    assert first.steps == 5
    assert torch.equal(*seen, first.module.head.weight)
    assert not torch.equal(*seen, model.head.weight)

    exec("saved = " + going_on, names)
    second, saved = names["ema"], names["saved"]
    assert second is not first
    assert second.steps == 5
    average = first.module.state_dict()
    for state in (second.module.state_dict(), torch.load("weights.pt")):
        assert state.keys() == average.keys()
        assert all(torch.equal(x, average[name]) for name, x in state.items())

    model.load_state_dict(saved["model"])
    for ema in (first, second):  # both go on alike
        ema.update(names["model"])
    assert torch.equal(first.module.head.weight, second.module.head.weight)
    optimizer.load_state_dict(saved["optimizer"])
    torch.testing.assert_close(names["ema_tensors"], [torch.full((2,), 0.001)])
