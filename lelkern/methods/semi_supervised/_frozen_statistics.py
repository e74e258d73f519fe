"""Passes in training mode of which BatchNorm remembers nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def frozen_statistics(model: nn.Module) -> Iterator[None]:
    """Leave BatchNorm's running statistics alone inside a ``with`` block.

    In training mode a batch is normalised by its own mean and variance as ever. Guesses, teachers
    and adversarial images are seen beside the images that are learned from, and running statistics
    that followed them all would be those of none.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
