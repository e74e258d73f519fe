"""What a training loop is written with: small helpers that know nothing of each other."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lelkern.errors import NotFiniteError
from lelkern.runtime import Progress
from lelkern.torch_settings import usual_settings


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed PyTorch's global generators inside a ``with`` block, and put them back after it.

    Inside, PyTorch is set as :func:`~lelkern.torch_settings.usual_settings` says.
    """
    with usual_settings(), torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def batches(number: int, size: int, steps: int) -> Iterator[Tensor]:
    """Yield the indices of a batch for every step, drawn from PyTorch's global generator.

    Every epoch goes through all samples in a new random order; those that are left over from its
    last whole batch sit it out. The indices of several streams, such as labelled and unlabelled
    samples, come from as many calls.

    Args:
        number: of samples.
        size: samples a batch.
        steps: how many batches.

    Returns:
        Tensors (size,), int64, on the CPU.

    Raises:
        ValueError: there are fewer samples than a batch takes.
    """
    if not 1 <= size <= number:
        raise ValueError(f"size must be from 1 to the number of samples, {number}, got {size}")
    epoch: list[Tensor] = []
    for _ in range(steps):
        if not epoch:
            epoch = [batch for batch in torch.randperm(number).split(size) if len(batch) == size]
        yield epoch.pop()


def unbroken_batches(number: int, size: int, steps: int) -> Iterator[Tensor]:
    """Yield the indices of a batch for every step, cut from one epoch after the other.

    As :func:`batches`, but an epoch goes on in the middle of a batch: samples that are few, such
    as labelled ones, are all seen equally often, and a batch may hold a sample several times.

    Args:
        number: of samples.
        size: samples a batch, which may be more than there are.
        steps: how many batches.

    Returns:
        Tensors (size,), int64, on the CPU.

    Raises:
        ValueError: there is no sample, or the batch takes none.
    """
    if number < 1 or size < 1:
        raise ValueError(f"number and size must be at least 1, got {number} and {size}")
    waiting = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(waiting) < size:
            waiting = torch.cat([waiting, torch.randperm(number)])
        yield waiting[:size]
        waiting = waiting[size:]


def after(steps: int, progress: Progress) -> Progress:
    """Return the progress of a training that follows on others, of so many steps altogether."""
    return lambda step, loss: progress(steps + step, loss)


def check_weights(model: nn.Module) -> None:
    """Raise NotFiniteError if a weight of a network is NaN or infinite: its training diverged."""
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise NotFiniteError(f"{name} must be finite, got NaN or infinity")


class Losses:
    """The losses of a training run, remembered as they are reported.

    Give it in place of the progress that it reports to.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._values: list[float] = []

    def __call__(self, step: int, loss: float | None) -> None:
        """Remember the loss of a step, if it is known, and report it."""
        if loss is not None:
            self._values.append(loss)
        self._progress(step, loss)

    def final(self) -> float:
        """Return the mean loss of the last tenth of the steps, at least one; NaN of none."""
        last = self._values[-max(1, len(self._values) // 10) :]
        return sum(last) / len(last) if last else math.nan
