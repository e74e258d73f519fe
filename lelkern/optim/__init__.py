"""Optimisers: proximal ones, which minimise objectives with sparsity penalties, and helpers.

What the methods train with is imported when it is first used: its configuration needs a package
that the proximal optimisers do not.
"""

from typing import TYPE_CHECKING

from lelkern.lazy import attributes
from lelkern.optim.fista import FistaResult, fista
from lelkern.optim.proximal_adam import ProximalAdam
from lelkern.optim.proximal_sgd import ProximalSGD
from lelkern.optim.proximal_step import ProximalStep

if TYPE_CHECKING:
    from lelkern.optim.optimisation import Optimisation, OptimizerConfig, warmup_cosine

__all__ = [
    "FistaResult",
    "Optimisation",
    "OptimizerConfig",
    "ProximalAdam",
    "ProximalSGD",
    "ProximalStep",
    "fista",
    "warmup_cosine",
]


if not TYPE_CHECKING:  # for whom a name that is missing would be of any type
    __getattr__ = attributes(__name__, dict.fromkeys(__all__, "optimisation"))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
