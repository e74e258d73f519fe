"""A linear model of tasks as a layer, in which form it is kept."""

import torch
from torch import nn

from lelkern.config import Config
from lelkern.methods.method import Blueprint
from lelkern.methods.multi_task._linear import Fit


def layer(fit: Fit) -> nn.Linear:
    """Return a layer (N, D) to (N, T), float64, for features as they are in the data."""
    features, tasks = fit.coefficients.shape
    # On no device, so that no weights are drawn, which would move the global generator.
    made = nn.Linear(features, tasks, device="meta")
    made.weight = nn.Parameter(fit.coefficients.T.contiguous())
    made.bias = nn.Parameter(fit.intercepts.contiguous())
    return made


def build(config: Config, blueprint: Blueprint) -> nn.Linear:
    """Make a layer of the form of one that a method for linear tasks learned."""
    (features,), tasks = blueprint.form.sample, blueprint.form.tasks
    return nn.Linear(features, len(tasks), dtype=torch.float64)
