"""Optimisers and learning-rate schedules that the methods share."""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lelkern.config import Config
from lelkern.runtime import Progress, silent


class OptimizerConfig(Config):
    """An optimiser with linear warm-up and cosine decay (Loshchilov & Hutter 2017; Goyal 2017).

    Attributes:
        name: ``adamw``, or ``sgd`` with Nesterov momentum 0.9.
        lr: peak learning rate.
        weight_decay: decoupled for AdamW, L2 for SGD; not applied to biases and normalisations.
        warmup: share of all steps over which the rate rises linearly from zero.
        schedule: what follows: ``cosine``, falling to zero at the end, or ``constant``.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warmup: float = Field(default=0.1, ge=0, le=1)
    schedule: Literal["cosine", "constant"] = "cosine"

    def build(self, modules: Iterable[nn.Module], steps: int) -> tuple[Optimizer, LambdaLR]:
        """Return the optimiser of all the modules' parameters, and its schedule.

        Args:
            modules: whose parameters are trained, those that need gradients.
            steps: number of all steps of the training.

        Returns:
            The optimiser, and the schedule, which is to be stepped after it.
        """
        parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer: Optimizer
        if self.name == "adamw":
            optimizer = torch.optim.AdamW(groups, lr=self.lr, fused=True)
        else:
            optimizer = torch.optim.SGD(groups, lr=self.lr, momentum=0.9, nesterov=True, fused=True)
        warmup = round(self.warmup * steps)

        def factor(step: int) -> float:
            if self.schedule == "constant":
                return min(1.0, (step + 1) / (warmup + 1))
            return warmup_cosine(step, steps, warmup)

        return optimizer, LambdaLR(optimizer, factor)


class Optimisation:
    """An optimiser with its schedule, which steps and reports what the loss was.

    A recipe has as many as it has players: one for a classifier, two for a generator and its
    discriminator. Each moves the parameters of its own modules only.

    Args:
        config: the optimiser and its learning rate.
        modules: what learns; parameters that need no gradient are left alone.
        steps: how many steps there will be, over which the learning rate follows its schedule.
        progress: called after each step with the number of steps done and the loss.
    """

    def __init__(
        self,
        config: OptimizerConfig,
        modules: Iterable[nn.Module],
        steps: int,
        progress: Progress = silent,
    ) -> None:
        self._optimizer, self._schedule = config.build(modules, steps)
        self._progress = progress
        self._done = 0

    def step(self, loss: Tensor) -> None:
        """Move the parameters against the gradient of the loss, a scalar, and report it."""
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        self._done += 1
        self._progress(self._done, loss.item())


def warmup_cosine(step: int, steps: int, warmup: int) -> float:
    r"""Return the factor of the peak learning rate at ``step``, for warm-up and cosine decay.

    Rises as (step + 1) / (warmup + 1) for the first ``warmup`` steps, then falls as
    (1 + cos(pi t)) / 2 with t from 0 to 1, reaching 0 one step after the last.

    Args:
        step: number of the step, from 0.
        steps: number of all steps of the training.
        warmup: number of the steps over which the rate rises.

    Returns:
        The factor, in [0, 1].
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, steps - warmup)
    return (1 + math.cos(math.pi * min(1.0, progress))) / 2
