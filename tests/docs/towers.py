"""A model of two views and a temperature, which one process trains, or two."""

import torch
from torch import nn
from torch.nn.functional import tanh


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 4), nn.Linear(5, 4)
        self.log_temperature = nn.Parameter(torch.tensor(-1.0))

    def forward(self, x, y):
        return tanh(self.first(x)), tanh(self.second(y)), self.log_temperature.exp()


def same_towers():
    """The same in every process."""
    torch.manual_seed(3)
    return Towers().double()


def batch():
    """Inputs (6, 5) of both views, and labels."""
    torch.manual_seed(4)
    x, y = torch.randn(2, 6, 5, dtype=torch.float64)
    return x, y, torch.tensor([0, 1, 2, 0, 1, 0])


def gradients(model):
    return {name: p.grad for name, p in model.named_parameters()}
