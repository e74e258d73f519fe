"""Random draws about data, each from a generator of its own."""

import hashlib

import torch
from torch import Tensor

from lelkern.data.errors import DataError
from lelkern.torch_settings import usual_settings


def stream(purpose: str, seed: int) -> torch.Generator:
    """Return a generator for one purpose, independent of those for other purposes.

    A seed that a trial shares among its model, its labels and its split must not make these draws
    depend on each other, as generators with the same seed would.

    Args:
        purpose: what is drawn, such as ``labels``.
        seed: any integer.
    """
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


@usual_settings()
def draw_split(n: int, fraction: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split n samples at random in two, with at least one on either side.

    Args:
        n: at least 2.
        fraction: share of the second part, in (0, 1).
        generator: decides the draw.

    Returns:
        Sorted int64 indices of the first and of the second part.
    """
    size = min(max(1, round(n * fraction)), n - 1)
    order = torch.randperm(n, generator=generator)
    return order[size:].sort().values, order[:size].sort().values


@usual_settings()
def draw_split_by_class(
    labels: Tensor, fraction: float, generator: torch.Generator, classes: tuple[str, ...], name: str
) -> tuple[Tensor, Tensor]:
    """Split labelled samples class by class; see :func:`draw_split`.

    Args:
        labels: (N,) int64; samples without a label (-1) stay in the first part.
        fraction: share of each class that goes to the second part, in (0, 1).
        generator: decides the draw.
        classes: names of the classes, for messages.
        name: of the data, for messages.

    Returns:
        Sorted int64 indices of the first and of the second part.

    Raises:
        DataError: a class has one sample.
    """
    first, second = [torch.nonzero(labels < 0)[:, 0]], []
    for label in labels[labels >= 0].unique().tolist():
        members = torch.nonzero(labels == label)[:, 0]
        if len(members) < 2:
            raise DataError(
                f"{name}: class '{classes[label]}' has 1 sample; a split needs at least 2"
            )
        rest, part = draw_split(len(members), fraction, generator)
        first.append(members[rest])
        second.append(members[part])
    return torch.cat(first).sort().values, torch.cat(second).sort().values
